package wyvern

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// recorder is a handler that keeps what it gets.
type recorder struct {
	mu  sync.Mutex
	got []Event
}

func (r *recorder) handle(_ context.Context, e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, e)
	return nil
}

func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// texts are the events in short: topic/key, or topic!reason.
func (r *recorder) texts() (list []string) {
	for _, e := range r.all() {
		if e.Reason != "" {
			list = append(list, e.Topic+"!"+string(e.Reason))
		} else {
			list = append(list, e.Topic+"/"+e.Key)
		}
	}
	return list
}

func wantTexts(t *testing.T, r *recorder, want ...string) {
	t.Helper()
	if got := r.texts(); !slices.Equal(got, want) {
		t.Errorf("the handler got %q, want %q", got, want)
	}
}

func holding(topics ...string) func(*SubscriberOptions) {
	return func(o *SubscriberOptions) { o.Topics = topics }
}

func TestSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		s := openFakeSubscriber(t, half, r.handle, holding("a", "D"))
		numbered := setEvent("1")
		numbered.Epoch, numbered.Seq, numbered.Version = 5, 9, 3
		half.put(message("a", numbered), message("ab", setEvent("2")), message("D", Event{Action: ActionSync}))
		synctest.Wait()
		numbered.Topic, numbered.Publisher = "a", "p1"
		want := []Event{numbered, {Action: ActionSync, Topic: "D", Publisher: "p1"}}
		if got := r.all(); !slices.Equal(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if got := s.Stats(); got != (SubscriberStats{Events: 2, Filtered: 1}) {
			t.Errorf("stats %+v", got)
		}
		if got := s.Status(); got.Messages != 2 || got.Bytes == 0 {
			t.Errorf("status %+v", got)
		}
	})
}

// Whatever a driver hands out, each holder gets its own topics and no others.
func TestX3PrefixConfusion(t *testing.T) {
	all := []string{"a", "ab", "D", "Data"}
	for _, first := range all {
		for _, second := range all {
			synctest.Test(t, func(t *testing.T) {
				half, r := newFakeSubscriber(), &recorder{}
				s := openFakeSubscriber(t, half, r.handle, holding(first, second))
				var want []string
				for round, held := range [][]string{{first, second}, {second}} {
					if round > 0 && first != second {
						if err := s.Unsubscribe(t.Context(), first); err != nil {
							t.Fatal(err)
						}
					}
					for _, topic := range all {
						half.put(message(topic, setEvent(fmt.Sprint(round))))
						if slices.Contains(held, topic) {
							want = append(want, fmt.Sprint(topic, "/", round))
						}
					}
					synctest.Wait()
				}
				wantTexts(t, r, want...)
			})
		}
	}
}

// The topic frame counts, not what the body says.
func TestTopicFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		openFakeSubscriber(t, half, r.handle, holding("a"))
		m := message("b", setEvent("1"))
		m.Topic = []byte("a")
		half.put(m)
		synctest.Wait()
		wantTexts(t, r, "a/1")
	})
}

func TestAllTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		s := openFakeSubscriber(t, half, r.handle, func(o *SubscriberOptions) { o.Config.AllTopics = true })
		half.put(message("a", setEvent("1")), message("b", Event{Action: ActionSync, Key: "2"}), malformed("c"), message("\xff", setEvent("3")))
		synctest.Wait()
		wantTexts(t, r, "a/1", "b/2", "c!malformed event")
		if got := s.Stats(); got != (SubscriberStats{Events: 2, Resyncs: 1, Malformed: 1, BadTopics: 1}) {
			t.Errorf("stats %+v", got)
		}
	})
}

// Who holds all topics is told of those that it never saw on the one for all.
func TestAllTopicsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		openFakeSubscriber(t, half, r.handle, func(o *SubscriberOptions) { o.Config.AllTopics = true })
		source := &driver.Source{Publisher: "p1", Epoch: 7}
		half.put(message("a", setEvent("1")), driver.Message{Notice: driver.Behind, Source: source})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := r.texts()
		slices.Sort(got)
		if want := []string{"D!fell behind", "a!fell behind", "a/1"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r, log := newFakeSubscriber(), &recorder{}, &logBook{}
		s := openFakeSubscriber(t, half, r.handle, holding("a", "b"), func(o *SubscriberOptions) { o.Log = log.logger() })
		// What came together is covered by one resync, which is at the place
		// of the first.
		half.put(message("a", setEvent("1")), malformed("a"), malformed("a"), malformed("b"), malformed("other"), message("a", setEvent("2")))
		synctest.Wait()
		half.put(malformed("a"))
		synctest.Wait()
		wantTexts(t, r, "a/1", "a!malformed event", "b!malformed event", "a/2", "a!malformed event")
		if got := r.all()[1]; got.Publisher != "p1" || got.Action != ActionSync {
			t.Errorf("resync %+v", got)
		}
		half.put(driver.Message{Topic: nil}, driver.Message{Topic: []byte(strings.Repeat("x", 256))}, driver.Message{Topic: []byte("\xff\n")})
		synctest.Wait()
		if got := s.Stats(); got != (SubscriberStats{Events: 2, Resyncs: 3, Filtered: 1, Malformed: 4, BadTopics: 3}) {
			t.Errorf("stats %+v", got)
		}
		if got := log.lines(`msg="malformed event"`); len(got) != 1 || !strings.Contains(got[0], "fake://bad") {
			t.Errorf("log %q", got)
		}
		time.Sleep(time.Second)
		half.put(malformed("a"))
		synctest.Wait()
		if got := log.lines(`msg="malformed event"`); len(got) != 2 || !strings.Contains(got[1], "suppressed=3") {
			t.Errorf("log %q", got)
		}
		if got := log.lines(`msg="event with a bad topic"`); len(got) != 1 || !strings.Contains(got[0], "unknown") {
			t.Errorf("log %q", got)
		}
	})
}

func TestHandlerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r, log := newFakeSubscriber(), &recorder{}, &logBook{}
		handler := func(ctx context.Context, e Event) error {
			r.handle(ctx, e)
			switch {
			case strings.HasPrefix(e.Key, "err"):
				return errors.New("no")
			case strings.HasPrefix(e.Key, "panic"):
				panic("oh")
			}
			return nil
		}
		s := openFakeSubscriber(t, half, handler, holding("a", "b"), func(o *SubscriberOptions) { o.Log = log.logger() })
		half.put(message("a", setEvent("err1")), message("a", setEvent("err2")), message("b", setEvent("panic1")), message("a", setEvent("end")))
		synctest.Wait()
		wantTexts(t, r, "a/err1", "a!handler failed", "a/err2", "b/panic1", "b!handler failed", "a/end")
		if got := s.Stats(); got != (SubscriberStats{Events: 4, Resyncs: 2, HandlerErrors: 2, HandlerPanics: 1}) {
			t.Errorf("stats %+v", got)
		}
		if got := log.lines("handler failed"); len(got) != 1 || !strings.Contains(got[0], "key=err1") {
			t.Errorf("log %q", got)
		}
	})
}

// A handler that fails on the resync too is not called for ever.
func TestHandlerAlwaysFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
			r.handle(ctx, e)
			return errors.New("no")
		}, holding("a"))
		half.put(message("a", setEvent("1")), message("a", Event{Action: ActionSync, Key: "2"}))
		synctest.Wait()
		wantTexts(t, r, "a/1", "a!handler failed", "a/2")
	})
}

func TestUnsubscribeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := newFakeSubscriber()
		entered, leave := make(chan string, 10), make(chan struct{})
		r := &recorder{}
		s := openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
			r.handle(ctx, e)
			entered <- e.Key
			<-leave
			return nil
		}, holding("a", "b"))
		half.put(message("a", setEvent("1")), message("a", setEvent("2")), message("b", setEvent("3")))
		<-entered

		// Another topic's call isn't waited for.
		if err := s.Unsubscribe(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if err := s.Subscribe(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Unsubscribe(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Unsubscribe during a call: %v", err)
		}
		if err := s.Subscribe(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Unsubscribe(t.Context(), "b", "a") }()
		synctest.Wait()
		// The call that runs is of the topic as it was held before: it counts.
		select {
		case err := <-done:
			t.Errorf("Unsubscribe returned during the call: %v", err)
		default:
		}
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantTexts(t, r, "a/1")
		if got := s.Stats().Filtered; got != 2 {
			t.Errorf("%d filtered, want 2", got)
		}
	})
}

func TestUnsubscribeWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := newFakeSubscriber()
		entered, leave := make(chan struct{}), make(chan struct{})
		s := openFakeSubscriber(t, half, func(context.Context, Event) error {
			entered <- struct{}{}
			<-leave
			return nil
		}, holding("a"))
		half.put(message("a", setEvent("1")), message("a", setEvent("2")))
		<-entered
		done := make(chan error, 1)
		go func() { done <- s.Unsubscribe(t.Context(), "a") }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Unsubscribe returned during the call: %v", err)
		default:
		}
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What a handler does to its own subscriber doesn't wait for the handler.
func TestFromHandler(t *testing.T) {
	for name, act := range map[string]func(ctx context.Context, s *Subscriber) error{
		"unsubscribe": func(ctx context.Context, s *Subscriber) error { return s.Unsubscribe(ctx, "a") },
		"unsubscribe, other context": func(_ context.Context, s *Subscriber) error {
			return s.Unsubscribe(context.Background(), "a")
		},
		"subscribe": func(ctx context.Context, s *Subscriber) error { return s.Subscribe(ctx, "b") },
		"close":     func(_ context.Context, s *Subscriber) error { return s.Close() },
		"shutdown":  func(_ context.Context, s *Subscriber) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				half := newFakeSubscriber()
				got := make(chan error, 1)
				var s *Subscriber
				ready := make(chan struct{})
				s = openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
					<-ready
					if e.Topic == "a" {
						got <- act(ctx, s)
					}
					return nil
				}, holding("a"))
				// A confirmation that never comes.
				half.subscribe = func(ctx context.Context) error {
					for {
						half.mu.Lock()
						closed, changed := half.closed, half.changed
						half.mu.Unlock()
						if closed {
							return ErrClosed
						}
						<-changed
					}
				}
				close(ready)
				half.put(message("a", setEvent("1")))
				if err := <-got; err != nil {
					t.Error(err)
				}
				if name == "close" || name == "shutdown" {
					<-s.Done()
				}
				s.Close()
			})
		})
	}
}

func TestSubscribeOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		s := openFakeSubscriber(t, half, r.handle)
		gate := make(chan struct{})
		half.subscribe = func(context.Context) error { <-gate; return nil }
		done := make(chan error, 1)
		go func() { done <- s.Subscribe(t.Context(), "a") }()
		synctest.Wait()
		if err := s.Unsubscribe(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		// The driver heard of the older Subscribe last, and was told again.
		if want := []string{"-a", "+a", "-a"}; !slices.Equal(half.calls, want) {
			t.Errorf("calls %q, want %q", half.calls, want)
		}
	})
}

// A topic that is dropped between its look-up and the call isn't handled.
func TestDroppedBeforeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		s := openFakeSubscriber(t, half, r.handle, holding("a"))
		held := s.held.find([]byte("a"))
		if err := s.Unsubscribe(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if !s.handle(t.Context(), held, &Event{Action: ActionSet, Topic: "a"}, &s.counters.events) {
			t.Error("this counts as a failure of the handler")
		}
		wantTexts(t, r)
		if got := s.Stats(); got != (SubscriberStats{Filtered: 1}) || s.calls.running.Load() != nil {
			t.Errorf("stats %+v", got)
		}
	})
}

func TestSubscribeInvalid(t *testing.T) {
	half := newFakeSubscriber()
	s := openFakeSubscriber(t, half, (&recorder{}).handle)
	for _, topic := range []string{"", "\xff", strings.Repeat("x", 256)} {
		if err := s.Subscribe(t.Context(), "fine", topic); !errors.Is(err, ErrInvalidEvent) {
			t.Errorf("Subscribe(%.10q): %v", topic, err)
		}
		if err := s.Unsubscribe(t.Context(), topic); !errors.Is(err, ErrInvalidEvent) {
			t.Errorf("Unsubscribe(%.10q): %v", topic, err)
		}
	}
	if s.held.find([]byte("fine")) != nil || len(half.calls) != 0 {
		t.Errorf("half of an invalid call was done: %q", half.calls)
	}
	for what, err := range map[string]error{
		"Connect": s.Connect("fake://x"), "Disconnect": s.Disconnect("fake://x"), "Await": s.Await(t.Context()),
	} {
		if !errors.Is(err, ErrNotSupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Close()
	if err := s.Subscribe(t.Context(), "a"); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
}

func TestShutdownSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r := newFakeSubscriber(), &recorder{}
		entered, leave := make(chan struct{}), make(chan struct{})
		var ctxErr error
		s := openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
			r.handle(ctx, e)
			close(entered)
			select {
			case <-leave:
			case <-ctx.Done():
			}
			ctxErr = ctx.Err()
			return nil
		}, holding("a"))
		half.put(message("a", setEvent("1")), message("a", setEvent("2")))
		<-entered
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		synctest.Wait()
		close(leave)
		if err := <-done; err != nil || ctxErr != nil {
			t.Errorf("Shutdown: %v, the handler's context: %v", err, ctxErr)
		}
		wantTexts(t, r, "a/1")
	})
}

func TestShutdownTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := newFakeSubscriber()
		entered := make(chan struct{})
		s := openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}, holding("a"))
		half.put(message("a", setEvent("1")))
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		<-s.Done()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if !half.closed {
			t.Error("the half was not closed")
		}
	})
}

// The loop doesn't die of an error that a driver shouldn't have returned.
func TestReceiveErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, r, log := newFakeSubscriber(), &recorder{}, &logBook{}
		s := openFakeSubscriber(t, half, r.handle, holding("a"), func(o *SubscriberOptions) { o.Log = log.logger() })
		trouble := errors.New("trouble")
		half.edit(func() { half.errs = []error{trouble, trouble, context.DeadlineExceeded} })
		time.Sleep(10 * time.Second)
		half.put(message("a", setEvent("1")))
		synctest.Wait()
		wantTexts(t, r, "a/1")
		if got := log.lines("trouble"); len(got) != 1 {
			t.Errorf("log %q", got)
		}
		half.Close()
		<-s.Done()
	})
}

func TestOpenSubscriberFails(t *testing.T) {
	half := newFakeSubscriber()
	o := SubscriberOptions{Driver: fakeDriver{sub: half}, Handler: (&recorder{}).handle, Connect: []string{"fake://x"}, Topics: []string{"a"}}
	if _, err := OpenSubscriber(t.Context(), o); !errors.Is(err, ErrNotSupported) {
		t.Errorf("error %v", err)
	}
	if !half.closed {
		t.Error("the half was not closed")
	}
	o.Handler = nil
	if _, err := OpenSubscriber(t.Context(), o); err == nil {
		t.Error("a subscriber without a handler was opened")
	}
}

func TestTopicSet(t *testing.T) {
	var h topics
	h.init()
	for i := range 1000 {
		h.add(fmt.Sprint("topic ", i))
	}
	first := h.find([]byte("topic 1"))
	h.add("topic 1")
	if h.find([]byte("topic 1")) != first {
		t.Error("adding a topic again changed it")
	}
	if h.find([]byte("topic")) != nil || h.find(nil) != nil {
		t.Error("found what isn't there")
	}
	h.drop("topic 1")
	h.drop("topic 1")
	h.drop("never")
	if h.find([]byte("topic 1")) != nil || !first.Dropped() {
		t.Error("held after drop")
	}
	h.add("topic 1")
	if got := h.find([]byte("topic 1")); got == nil || got == first {
		t.Error("held again, it is not another")
	}
	for i := range 1000 {
		if h.find(fmt.Append(nil, "topic ", i)) == nil {
			t.Fatalf("topic %d is gone", i)
		}
	}
}

// Topics come and go while events flow: with -race, the lock-free side of it.
func TestB3Churn(t *testing.T) {
	half := newFakeSubscriber()
	var mu sync.Mutex
	dropped := map[string]bool{}
	s := openFakeSubscriber(t, half, func(_ context.Context, e Event) error {
		mu.Lock()
		defer mu.Unlock()
		if dropped[e.Topic] {
			t.Errorf("the handler got %s of %s, which was dropped", e.Key, e.Topic)
		}
		return nil
	}, holding("D"))
	stop, fed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(fed)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				half.mu.Lock()
				waiting := len(half.msgs)
				half.mu.Unlock()
				if waiting < 100 {
					half.put(message(fmt.Sprint(i%4), setEvent(fmt.Sprint(i))))
				}
			}
		}
	}()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			topic := fmt.Sprint(g)
			for range 300 {
				mu.Lock()
				dropped[topic] = false
				mu.Unlock()
				if err := s.Subscribe(t.Context(), topic); err != nil {
					t.Error(err)
				}
				if err := s.Unsubscribe(t.Context(), topic); err != nil {
					t.Error(err)
				}
				mu.Lock()
				dropped[topic] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	close(stop)
	<-fed
}

// endless returns the same batch again and again, with the next numbers, until
// left is used up.
type endless struct {
	*fakeSubscriber
	batch   []driver.Message
	numbers [][]byte // where they are in the payloads
	round   uint64
	left    int
	empty   chan struct{}
}

func (s *endless) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	if s.left == 0 {
		select {
		case s.empty <- struct{}{}:
		default:
		}
		return s.fakeSubscriber.Receive(ctx, dst)
	}
	s.renumber()
	n := copy(dst, s.batch[:min(len(s.batch), s.left)])
	s.left -= n
	return n, nil
}

// endlessTopics is how many topics are in the batch, in turn.
const endlessTopics = 16

// renumber gives the batch the next numbers.
func (s *endless) renumber() {
	for i := range s.batch {
		binary.BigEndian.PutUint64(s.numbers[i], s.round*(maxBatch/endlessTopics)+uint64(i/endlessTopics)+1)
	}
	s.round++
}

func newEndless(total int) *endless {
	s := &endless{fakeSubscriber: newFakeSubscriber(), left: total, empty: make(chan struct{}, 1)}
	source := &driver.Source{Publisher: "p1", Address: "fake://p1"}
	for i := range maxBatch {
		e := portEvent()
		e.Epoch, e.Seq = 1<<60, 1
		m := message(fmt.Sprintf("%s%03d", e.Topic[:29], i%endlessTopics), e)
		m.Source = source
		s.batch = append(s.batch, m)
		at := bytes.LastIndex(m.Payload, []byte("\xa3seq\xcf")) + 5
		s.numbers = append(s.numbers, m.Payload[at:at+8])
	}
	return s
}

func (s *endless) hold(o *SubscriberOptions) {
	for i := range endlessTopics {
		o.Topics = append(o.Topics, string(s.batch[i].Topic))
	}
	for i := range 1000 {
		o.Topics = append(o.Topics, fmt.Sprint("another ", i))
	}
}

func TestSubscriberAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	half := newEndless(0)
	handled := 0
	s := openFakeSubscriber(t, half, func(context.Context, Event) error { handled++; return nil }, half.hold)
	<-half.empty
	ctx := t.Context()
	if n := testing.AllocsPerRun(10, func() {
		half.renumber()
		for i := range half.batch {
			s.take(ctx, &half.batch[i])
		}
	}); n > maxBatch {
		t.Errorf("%v allocations for %d events, want one for each", n, maxBatch)
	}
	if handled == 0 {
		t.Error("nothing was handled")
	}
}

func BenchmarkSubscriber(b *testing.B) {
	half := newEndless(b.N)
	b.SetBytes(int64(len(half.batch[0].Payload)))
	b.ReportAllocs()
	handled := 0
	openFakeSubscriber(b, half, func(context.Context, Event) error { handled++; return nil }, half.hold)
	<-half.empty
	if handled != b.N {
		b.Fatalf("%d events of %d", handled, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
