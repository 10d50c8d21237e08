package inbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// filled returns an inbox for ten messages of 1000 bytes, with as many.
func filled() *Inbox {
	b := New(10000)
	for range 10 {
		b.Add(message("first", 1000))
	}
	return b
}

// put is a Put that runs.
type put struct {
	waited bool
	err    error
	done   bool
}

func startPut(ctx context.Context, b *Inbox, m driver.Message) *put {
	p := new(put)
	go func() {
		p.waited, p.err = b.Put(ctx, m)
		p.done = true
	}()
	synctest.Wait()
	return p
}

// Who had to wait is let in when half is free, in order, and not overtaken by
// smaller messages that would fit.
func TestWaitersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled()
		large := startPut(t.Context(), b, message("large", 9500))
		small := startPut(t.Context(), b, message("small", 1100))
		for left := 9; left > 0; left-- {
			receive(t, b, 1)
			if synctest.Wait(); large.done || small.done {
				t.Fatalf("with %d of 10 left: large %v, small %v", left, large.done, small.done)
			}
		}
		receive(t, b, 1)
		if synctest.Wait(); !large.done || small.done {
			t.Fatalf("when it was empty: large %v, small %v", large.done, small.done)
		}
		if got := receive(t, b, 10); len(got) != 1 || string(got[0].Topic) != "large" {
			t.Errorf("got %d, the first about %s", len(got), got[0].Topic)
		}
		if synctest.Wait(); !small.done {
			t.Errorf("the small one waits in an empty inbox")
		}
	})
}

func TestWaitersUntilHalfIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled()
		p := startPut(t.Context(), b, message("T", 1000))
		for left := 9; left >= 5; left-- {
			if p.done {
				t.Fatalf("let in with %d of 10 left", left+1)
			}
			receive(t, b, 1)
			synctest.Wait()
		}
		if !p.done {
			t.Errorf("half is free, and it waits")
		}
	})
}

// A Put whose context ends leaves nothing behind, and nobody waits for it.
func TestPutCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(10000)
		b.Add(message("T", 4000))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		large := startPut(ctx, b, message("large", 9000))
		small := startPut(t.Context(), b, message("small", 1100))
		if large.done || small.done {
			t.Fatalf("large %v, small %v", large.done, small.done)
		}
		cancel()
		if synctest.Wait(); !large.done || !large.waited || !errors.Is(large.err, context.Canceled) {
			t.Errorf("the one that was cancelled: %+v", large)
		}
		if !small.done || small.err != nil {
			t.Errorf("the one behind it, for which there is room: %+v", small)
		}
		got := receive(t, b, 10)
		if len(got) != 2 || string(got[1].Topic) != "small" || retained(b) != 0 {
			t.Errorf("%d messages, and %d bytes are left", len(got), retained(b))
		}
		if waited, err := b.Put(ctx, message("fits", 9000)); waited || err != nil {
			t.Errorf("what fits: %v, %v: an ended context is looked at by who waits only", waited, err)
		}
	})
}

// Add goes past the limit, and Wait lasts until it is below it.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(10000)
		b.Add(message("T", 4000), message("T", 2000))
		if err := b.Wait(t.Context()); err != nil || b.Full() {
			t.Fatalf("below the limit: %v, full: %v", err, b.Full())
		}
		b.Add(message("T", 1000), message("T", 1000), message("T", 6000))
		if got := retained(b); got != 14000 || !b.Full() {
			t.Fatalf("%d bytes, full: %v", got, b.Full())
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Wait(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait whose context had ended: %v", err)
		}
		woken := make([]bool, 3)
		for i := range woken {
			go func() {
				if err := b.Wait(t.Context()); err != nil {
					t.Errorf("Wait: %v", err)
				}
				woken[i] = true
			}()
		}
		synctest.Wait()
		receive(t, b, 1) // 10000 are left
		if synctest.Wait(); woken[0] || woken[1] || woken[2] {
			t.Errorf("woken at the limit: %v", woken)
		}
		receive(t, b, 1)
		if synctest.Wait(); !woken[0] || !woken[1] || !woken[2] {
			t.Errorf("woken below the limit: %v", woken)
		}
	})
}

// A Put that is let in between the end of its context and its own noticing has
// succeeded, and whoever waits next does so for its own turn.
func TestPutCancelledTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(1000)
		b.Add(message("T", 1000))
		ctx, cancel := context.WithCancel(t.Context())
		p := startPut(ctx, b, message("U", 1000))
		b.mu.Lock()
		cancel()
		b.takeLocked(make([]driver.Message, 1))
		b.mu.Unlock()
		if synctest.Wait(); !p.done || p.err != nil || retained(b) != 1000 {
			t.Fatalf("%+v, and %d bytes wait", p, retained(b))
		}
		next := startPut(t.Context(), b, message("V", 1000))
		if next.done {
			t.Fatalf("there is no room, but %+v", next)
		}
		receive(t, b, 1)
		if synctest.Wait(); !next.done || next.err != nil || retained(b) != 1000 {
			t.Fatalf("the next one: %+v, and %d bytes wait", next, retained(b))
		}
	})
}
