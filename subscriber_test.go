package wyvern

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

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
