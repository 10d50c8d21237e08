//go:build linux

package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// handled is a node whose handler is what a test wants, and which keeps what the
// handler took, and what it was told.
func handled(t testing.TB, name, uri string, handler func(wyvern.Event) error) *subscriber {
	t.Helper()
	var in *inbox
	s := tuned(t, name, []string{uri}, []string{"D", "quiet"}, func(o *wyvern.SubscriberOptions) {
		in = newInbox(name)
		o.Handler = func(_ context.Context, e wyvern.Event) error {
			if e.Reason != "" {
				in.put(fromEvent(e))
			}
			err := handler(e)
			if err == nil && e.Reason == "" {
				in.put(fromEvent(e))
			}
			return err
		}
	})
	s.inbox = in
	return s
}

// A handler that is slow, or stuck, until more was published than is retained: the
// node keeps no more than a bounded part of it, is told that it fell behind, and
// goes on. Another node notices nothing (failures: B1).
func TestB1SlowHandler(t *testing.T) {
	t.Parallel()
	for _, stuck := range []bool{false, true} {
		name := map[bool]string{false: "slow", true: "stuck"}[stuck]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const count = 4000 // of 8 KB
			site := newSite(t, "retention = 2MiB")
			svc := site.serveWith(t, plain)
			gate := make(chan struct{})
			open := sync.OnceFunc(func() { close(gate) })
			node := handled(t, name, svc.uri, func(e wyvern.Event) error {
				if !strings.HasPrefix(e.Key, "w-") {
					return nil
				}
				select {
				case <-gate:
				case <-map[bool]<-chan time.Time{false: time.After(5 * time.Millisecond)}[stuck]: // nil for who is stuck
				}
				return nil
			})
			t.Cleanup(open)
			other := startSubscriber(t, "other", svc.uri, "D")
			w := startWorker(t, "w", site.socket)
			w.flood(t, "D", count, other.inbox)
			// What it took so far is all that it may have had in its hands.
			taken := len(node.events())
			open()
			node.until(t, "what it fell behind for", func(in *inbox) bool { return in.actions["sync"] >= 2 })
			// What comes while a resync is due is covered by it.
			w.warm(t, "D", node.inbox, other.inbox)
			w.warm(t, "quiet", node.inbox)
			missing := checkTold(t, node.inbox, "D")
			t.Logf("it had taken %d of %d when the others had all; %d are missing, told %v", taken, count, missing, resyncs(node.inbox))
			if missing == 0 {
				t.Error("nothing is missing: it held everything")
			}
			for what := range resyncs(node.inbox) {
				if !strings.HasSuffix(what, ": "+string(wyvern.ReasonBehind)) {
					t.Errorf("told %s", what)
				}
			}
			other.checkComplete(t, []string{"w"}, count)
			wantNoResync(t, other.inbox)
		})
	}
}

// A handler that is stuck for ever does not hold up whoever closes its node for
// longer than that one wants to wait (failures: B1).
func TestB1StuckForEver(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	gate, busy := make(chan struct{}), make(chan struct{}, 1)
	node := handled(t, "stuck", svc.uri, func(wyvern.Event) error {
		busy <- struct{}{}
		<-gate
		return nil
	})
	t.Cleanup(sync.OnceFunc(func() { close(gate) }))
	startWorker(t, "w", site.socket).send(t, "D", 1)
	<-busy
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- node.Shutdown(ctx) }()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v, want that the time was over", err)
		}
	case <-time.After(atMost):
		t.Error("shutdown waits for the handler")
	}
}

// A handler that panics or fails is told to resync that topic, again and again
// until it does not fail; the stream goes on, and it is counted (failures: B1).
func TestB1FailingHandler(t *testing.T) {
	t.Parallel()
	for _, panics := range []bool{false, true} {
		t.Run(map[bool]string{false: "error", true: "panic"}[panics], func(t *testing.T) {
			t.Parallel()
			site := newSite(t)
			svc := site.serve(t)
			var failed atomic.Int64
			node := handled(t, "node", svc.uri, func(e wyvern.Event) error {
				// Every tenth event, and the first two resyncs.
				if strings.HasSuffix(e.Key, "5") || e.Reason != "" && failed.Load() < 3 {
					failed.Add(1)
					if panics {
						panic("the handler's")
					}
					return errors.New("the handler's")
				}
				return nil
			})
			w := startWorker(t, "w", site.socket)
			for i := range 10 {
				w.send(t, "D", 10)
				node.awaitKey(t, "w-"+itoa(10*i+9)) // what comes together is resynced once
			}
			w.publish(t, wyvern.Event{Table: "t", Key: "end", Action: "set", Topic: "quiet"})
			node.awaitKey(t, "end")
			w.send(t, "D", 1)
			node.awaitKey(t, "w-100")
			if missing := checkTold(t, node.inbox, "D"); missing < 10 {
				t.Errorf("%d events are missing, and 10 failed", missing)
			}
			st := node.Stats()
			errs, panicked := st.HandlerErrors, st.HandlerPanics
			if panics {
				errs, panicked = panicked, errs
			}
			if int64(errs) != failed.Load() || panicked != 0 {
				t.Errorf("counted %+v, of %d", st, failed.Load())
			}
			if got := resyncs(node.inbox); len(got) != 1 || got["D: "+string(wyvern.ReasonHandler)] == 0 {
				t.Errorf("told %v", got)
			}
			wantAlive(t, node)
		})
	}
}

// wantAlive fails if a node has ended.
func wantAlive(t testing.TB, s *subscriber) {
	t.Helper()
	select {
	case <-s.Done():
		t.Errorf("node %s has ended", s.name)
	default:
	}
}
