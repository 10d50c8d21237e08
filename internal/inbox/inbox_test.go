package inbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// message returns one that costs so much.
func message(topic string, cost int64) driver.Message {
	return driver.Message{Topic: []byte(topic), Payload: make([]byte, cost-Overhead-int64(len(topic)))}
}

func text(topic, text string) driver.Message {
	return driver.Message{Topic: []byte(topic), Payload: []byte(text)}
}

func retained(b *Inbox) int64 {
	var st driver.Status
	b.Status(&st)
	return st.Retained
}

// receive takes up to n messages, of which there must be one.
func receive(t testing.TB, b *Inbox, n int) []driver.Message {
	t.Helper()
	dst := make([]driver.Message, n)
	n, err := b.Receive(t.Context(), dst)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return dst[:n]
}

// However many put messages, those that wait are below the limit, and who is over
// it waits.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, size, producers, count = 10000, 300, 7, 100
		b := New(limit)
		var all sync.WaitGroup
		for range producers {
			all.Go(func() {
				for range count {
					if _, err := b.Put(t.Context(), message("T", size)); err != nil {
						t.Errorf("Put: %v", err)
					}
				}
			})
		}
		full := 0
		for got := 0; got < producers*count; {
			synctest.Wait()
			now := retained(b)
			if now > limit {
				t.Fatalf("%d bytes wait, more than %d", now, limit)
			}
			if now > limit-size {
				full++
			}
			got += len(receive(t, b, 1+got%5))
		}
		all.Wait()
		if full < 3 {
			t.Errorf("it was full %d times", full)
		}
		if got := retained(b); got != 0 {
			t.Errorf("%d bytes wait in the end", got)
		}
	})
}

// A message that is larger than the limit goes into an empty inbox, and nowhere
// else.
func TestLargerThanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(10000)
		if waited, err := b.Put(t.Context(), message("large", 50000)); waited || err != nil {
			t.Errorf("into an empty inbox: %v, %v", waited, err)
		}
		small := startPut(t.Context(), b, message("small", 2000))
		if small.done {
			t.Errorf("a message was added to one that is larger than the limit")
		}
		receive(t, b, 1)
		if synctest.Wait(); !small.done || !small.waited {
			t.Errorf("when that was taken: %+v", small)
		}
		large := startPut(t.Context(), b, message("large", 50000))
		b.Tell(driver.Gap, "T", nil)
		if large.done {
			t.Errorf("a large message was added to a small one")
		}
		if got := receive(t, b, 5); len(got) != 2 {
			t.Errorf("%d messages, want the small one and the notice", len(got))
		}
		if synctest.Wait(); !large.done || !large.waited || large.err != nil {
			t.Errorf("the large one, when the inbox was empty: %+v", large)
		}
	})
}

// Two messages that come when two receivers are about to wait, and don't yet,
// leave one value. Who takes it leaves another one.
func TestReceiverIsWokenByReceiver(t *testing.T) {
	b := New(1000)
	b.Add(text("T", "1"), text("T", "2"))
	<-b.arrived
	receive(t, b, 1)
	select {
	case <-b.arrived:
	default:
		t.Errorf("a message waits, and the other receiver is not told")
	}
}

// However many wait, each message that comes wakes one of them, also when others
// give up just then.
func TestEveryReceiverIsWoken(t *testing.T) {
	for _, leave := range []int{0, 5} {
		synctest.Test(t, func(t *testing.T) {
			const receivers, count = 20, 10
			b := New(10000)
			ctx, cancel := context.WithCancel(t.Context())
			var got, left atomic.Int64
			for i := range receivers {
				ctx := ctx
				if i >= leave {
					ctx = t.Context()
				}
				go func() {
					n, err := b.Receive(ctx, make([]driver.Message, 1))
					got.Add(int64(n))
					if errors.Is(err, context.Canceled) {
						left.Add(1)
					}
				}()
			}
			synctest.Wait()
			b.Add(text("T", "1"), text("T", "2"), text("T", "3"))
			cancel()
			for range count - 3 {
				if _, err := b.Put(t.Context(), text("T", "more")); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
			if synctest.Wait(); got.Load() != count || left.Load() > int64(leave) {
				t.Errorf("%d messages were received, want %d; %d of %d gave up", got.Load(), count, left.Load(), leave)
			}
			b.Close()
		})
	}
}

func TestReceiveEnds(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		waits  int
		closed bool
		ctx    context.Context
		length int
		n      int
		err    error
	}{
		{"messages", 2, false, t.Context(), 5, 2, nil},
		{"more than fit", 7, false, t.Context(), 5, 5, nil},
		{"messages and an ended context", 2, false, ended, 5, 2, nil},
		{"an ended context", 0, false, ended, 5, 0, context.Canceled},
		{"closed", 0, true, t.Context(), 5, 0, driver.ErrClosed},
		{"closed, and messages", 2, true, t.Context(), 5, 0, driver.ErrClosed},
		{"closed, and an ended context", 0, true, ended, 5, 0, driver.ErrClosed},
		{"no room for any", 2, false, t.Context(), 0, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(1000)
			for range c.waits {
				b.Add(text("T", "x"))
			}
			if c.closed {
				b.Close()
			}
			n, err := b.Receive(c.ctx, make([]driver.Message, c.length))
			if n != c.n || !errors.Is(err, c.err) {
				t.Errorf("%d, %v; want %d, %v", n, err, c.n, c.err)
			}
		})
	}
}

// Close wakes everybody, and nothing goes in afterwards.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, empty := New(1000), New(1000)
		full.Add(message("T", 2000))
		var all sync.WaitGroup
		closed := func(what string, f func() error) {
			all.Go(func() {
				if err := f(); !errors.Is(err, driver.ErrClosed) {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		putIn := func() error { _, err := full.Put(t.Context(), text("T", "x")); return err }
		take := func() error { _, err := empty.Receive(t.Context(), make([]driver.Message, 1)); return err }
		for range 3 {
			closed("Put", putIn)
			closed("Wait", func() error { return full.Wait(t.Context()) })
			closed("Receive", take)
		}
		synctest.Wait()
		for range 2 {
			full.Close()
			empty.Close()
		}
		all.Wait()
		full.Add(text("T", "late"))
		full.Tell(driver.Gap, "T", nil)
		closed("Put", putIn)
		closed("Wait", func() error { return full.Wait(t.Context()) })
		all.Wait()
		if retained(full) != 0 || full.queue.length != 0 || full.Full() {
			t.Errorf("something is left: %d bytes, %d messages", retained(full), full.queue.length)
		}
	})
}

// Several put and several take: everything arrives once, and each producer's in
// order for whoever took it.
func TestConcurrent(t *testing.T) {
	const producers, receivers, count = 4, 3, 3000
	b := New(5000)
	var putting, taking sync.WaitGroup
	for p := range producers {
		putting.Go(func() {
			for i := range count {
				m := text(fmt.Sprint(p), fmt.Sprint(i))
				if p%2 == 0 {
					if _, err := b.Put(t.Context(), m); err != nil {
						t.Errorf("Put: %v", err)
					}
					continue
				}
				b.Add(m)
				if err := b.Wait(t.Context()); err != nil {
					t.Errorf("Wait: %v", err)
				}
			}
		})
	}
	var mu sync.Mutex
	got, everything := 0, make(chan struct{})
	for range receivers {
		taking.Go(func() {
			last := map[string]int{}
			dst := make([]driver.Message, 7)
			for {
				n, err := b.Receive(t.Context(), dst)
				if err != nil {
					return
				}
				for _, m := range dst[:n] {
					var i int
					fmt.Sscan(string(m.Payload), &i)
					if next, some := last[string(m.Topic)]; some && i <= next {
						t.Errorf("%d of %s after %d", i, m.Topic, next)
					}
					last[string(m.Topic)] = i
				}
				mu.Lock()
				if got += n; got == producers*count {
					close(everything)
				}
				mu.Unlock()
			}
		})
	}
	putting.Wait()
	<-everything
	var st driver.Status
	b.Status(&st)
	b.Close()
	taking.Wait()
	if got != producers*count || st.Messages != producers*count || st.Retained != 0 {
		t.Errorf("%d of %d messages were received; %+v", got, producers*count, st)
	}
}

func TestStatus(t *testing.T) {
	b := New(1000)
	b.Add(text("T", "12345"), driver.Message{Topic: []byte("T"), Notice: driver.Gap}, text("T", "123"))
	receive(t, b, 2)
	st := driver.Status{Peers: 3}
	b.Status(&st)
	if want := (driver.Status{Peers: 3, Messages: 1, Bytes: 5, Retained: 4 + Overhead}); st != want {
		t.Errorf("%+v, want %+v", st, want)
	}
	b.Close()
	b.Status(&st)
	if want := (driver.Status{Peers: 3, Messages: 1, Bytes: 5}); st != want {
		t.Errorf("closed: %+v, want %+v", st, want)
	}
}
