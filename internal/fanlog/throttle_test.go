package fanlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flood appends events of 1 KiB to topic x and returns how many.
func flood(t testing.TB, f *Fanout, mib int) int {
	t.Helper()
	frames := make([]Frame, 64)
	n := 0
	for ; n < mib<<10; n += len(frames) {
		for i := range frames {
			frames[i] = event(n+i, "x", 1<<10)
		}
		mustAppend(t, f, frames...)
	}
	return n
}

// One that stops loses; the others get everything, and have their claim all
// the time.
func TestStoppedSessionHarmsNobody(t *testing.T) {
	f := open(t, Options{Retention: 1, Loops: 2})
	stopped := connect(t, f, 4<<10)
	stopped.subscribe('p', "")
	var wg sync.WaitGroup
	counts := make([]atomic.Int64, 20)
	for i := range counts {
		p := connect(t, f, 64<<10)
		p.subscribe('p', "")
		p.discard(&wg, &counts[i])
	}
	n := flood(t, f, 6)
	for i := range counts {
		eventually(t, "all events", func() bool { return counts[i].Load() == int64(n) })
	}
	if got := f.Stats().Lost; got != 1 {
		t.Errorf("%d losses, want 1: a session that is stopped is told once", got)
	}
	if got := stopped.h.lost.Load(); got != 0 {
		t.Errorf("Lost was called %d times while nothing was taken", got)
	}
	// It goes on: whole events, the notice, what is appended later.
	last := -1
	for {
		kind, body, err := stopped.frame()
		if err != nil {
			t.Fatal(err)
		}
		if kind == kindLost {
			break
		}
		number, _, err := parseEvent(body)
		if err != nil || number != last+1 {
			t.Fatalf("event %d after %d, %v", number, last, err)
		}
		last = number
	}
	mustAppend(t, f, event(n, "x", 1<<10))
	if got, _ := stopped.next(); got != n {
		t.Errorf("event %d after the notice, want %d", got, n)
	}
	f.Close()
	wg.Wait()
}

// Sessions that take a little all the time hold up the others only until they
// are found out: one, and a few that are as slow as each other.
func TestSteadySlowSessionsLoseTheirClaim(t *testing.T) {
	for _, crawlers := range []int{1, 3} {
		t.Run(fmt.Sprint(crawlers), func(t *testing.T) {
			f := open(t, Options{Retention: 1, Loops: 2})
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range crawlers {
				slow := connect(t, f, 4<<10)
				slow.subscribe('p', "")
				wg.Go(func() {
					buf := make([]byte, 2<<10)
					tick := time.NewTicker(50 * time.Millisecond) // 40 KB/s: minutes for what is appended
					defer tick.Stop()
					for {
						select {
						case <-stop:
							return
						case <-tick.C:
							_, _ = slow.conn.Read(buf)
						}
					}
				})
			}
			counts := make([]atomic.Int64, 9)
			for i := range counts {
				p := connect(t, f, 64<<10)
				p.subscribe('p', "")
				p.discard(&wg, &counts[i])
			}
			n := flood(t, f, 6)
			for i := range counts {
				eventually(t, "all events", func() bool { return counts[i].Load() == int64(n) })
			}
			if f.Stats().Lost == 0 {
				t.Error("appends went on at the rate of the slowest")
			}
			close(stop)
			f.Close()
			wg.Wait()
		})
	}
}

// Appends wait for readers that are all as slow as each other.
func TestEquallySlowReadersLoseNothing(t *testing.T) {
	f := open(t, Options{Retention: 1, Loops: 2})
	var wg sync.WaitGroup
	counts := make([]atomic.Int64, 8)
	for i := range counts {
		p := connect(t, f, 16<<10)
		p.subscribe('p', "")
		wg.Go(func() {
			for {
				for range 100 {
					kind, _, err := p.frame()
					if err != nil {
						return
					}
					if kind == kindEvent {
						counts[i].Add(1)
					}
				}
				time.Sleep(20 * time.Millisecond) // the slowness itself, 5 MB/s
			}
		})
	}
	n := flood(t, f, 6)
	if got := f.Stats().Lost; got != 0 {
		t.Fatalf("%d losses, want 0", got)
	}
	for i := range counts {
		eventually(t, "all events", func() bool { return counts[i].Load() == int64(n) })
	}
	f.Close()
	wg.Wait()
}

// waitingAppend starts appends that come to wait for a session that takes
// nothing, and returns where the error arrives.
func waitingAppend(t *testing.T, f *Fanout, ctx context.Context) <-chan error {
	t.Helper()
	p := connect(t, f, 4<<10)
	p.subscribe('p', "")
	done := make(chan error, 1)
	go func() {
		frames := make([]Frame, 100)
		for i := range frames {
			frames[i] = event(i, "x", 64<<10)
		}
		for {
			if _, err := f.Append(ctx, frames); err != nil {
				done <- err
				return
			}
		}
	}()
	return done
}

func TestContextEndsAppend(t *testing.T) {
	f := open(t, Options{Retention: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := waitingAppend(t, f, ctx)
	eventually(t, "append waits", f.waiting.Load)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v, want %v", err, context.Canceled)
	}
}

func TestCloseWakesAppendAndFlush(t *testing.T) {
	f := open(t, Options{Retention: 1})
	done := waitingAppend(t, f, t.Context())
	eventually(t, "append waits", f.waiting.Load)
	flushed := make(chan error, 1)
	go func() { flushed <- f.Flush(t.Context()) }()
	f.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Append: %v, want %v", err, ErrClosed)
	}
	var stuck *StuckError
	if err := <-flushed; !errors.Is(err, ErrClosed) && !errors.As(err, &stuck) {
		t.Errorf("Flush: %v, want %v", err, ErrClosed)
	}
	if err := f.Flush(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush after Close: %v, want %v", err, ErrClosed)
	}
	if _, err := f.Append(t.Context(), []Frame{event(1, "x", 1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v, want %v", err, ErrClosed)
	}
	f.Close()
}

func TestFlush(t *testing.T) {
	f := open(t, Options{Retention: 1, Loops: 2})
	if err := f.Flush(t.Context()); err != nil {
		t.Errorf("Flush without sessions: %v", err)
	}
	var wg sync.WaitGroup
	var count atomic.Int64
	reader := connect(t, f, 4<<10)
	reader.subscribe('p', "")
	reader.discard(&wg, &count)
	mustAppend(t, f, event(1, "x", 100<<10))
	if err := f.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
	// Two that take nothing: one has bytes to get, one has all in its socket.
	for _, size := range []int{0, 4 << 10} {
		connect(t, f, size).subscribe('s', map[int]string{0: "small", 4 << 10: "x"}[size])
	}
	mustAppend(t, f, event(2, "x", 100<<10), event(3, "small", 100))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v, want %v", err, context.Canceled)
	}
	var stuck *StuckError
	if err := f.Flush(t.Context()); !errors.As(err, &stuck) || stuck.Sessions != 2 {
		t.Errorf("Flush: %v, want 2 sessions stuck", err)
	}
	f.Close()
	wg.Wait()
}

// memory returns the heap after a collection.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}

// The memory is the same with one stopped session as with many.
func TestMemoryWithStoppedSessions(t *testing.T) {
	used := func(sessions int) (heap, retained int64) {
		before := memory()
		f := open(t, Options{Retention: 1, Loops: 2})
		for range sessions {
			connect(t, f, 4<<10).subscribe('p', "")
		}
		flood(t, f, 6)
		eventually(t, "all are lost", func() bool { return f.Stats().Lost == uint64(sessions) })
		flood(t, f, 6)
		heap, retained = memory()-before, f.Stats().Retained
		f.Close()
		return heap, retained
	}
	one, retained1 := used(1)
	many, retainedMany := used(500)
	t.Logf("heap %d and %d KB, retained %d and %d KB", one>>10, many>>10, retained1>>10, retainedMany>>10)
	for _, got := range []int64{retained1, retainedMany} {
		if want := int64(5 << 20); got > want {
			t.Errorf("retained %d, at most %d", got, want)
		}
	}
	if want := one + 8<<20 + 500*10<<10; many > want {
		t.Errorf("heap %d with 500 stopped sessions, %d with one", many, one)
	}
}

func TestIdleSessionIsSmall(t *testing.T) {
	const n, most = 2000, 10 << 10
	f := open(t, Options{Retention: 1, Loops: 2})
	connect(t, f, 0).subscribe('s', "warm")
	mustAppend(t, f, event(1, "x", 100))
	before := memory()
	peers := make([]*peer, n)
	for i := range peers {
		peers[i] = connect(t, f, 0)
		peers[i].subscribe('s', "x")
	}
	mustAppend(t, f, event(2, "x", 100))
	for _, p := range peers {
		p.next()
	}
	got := (memory() - before) / n
	runtime.KeepAlive(peers)
	t.Logf("%d bytes for a session and its peer in the test", got)
	if got > most {
		t.Errorf("%d bytes for an idle session, at most %d", got, most)
	}
}
