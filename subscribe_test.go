package wyvern

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
