package eventloop

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forever ends a test that would hang.
const forever = 10 * time.Second

func newPoller(t *testing.T, batch int) *Poller {
	t.Helper()
	p, err := New(batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	return fds[0], fds[1]
}

// await waits until want holds for what was reported of fd in all.
func await(t *testing.T, p *Poller, fd int, want func(Event) bool) {
	t.Helper()
	got := Event{FD: fd}
	for end := time.Now().Add(forever); time.Now().Before(end); {
		events, err := p.Wait(nil, time.Until(end))
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.FD == fd {
				got.Readable = got.Readable || ev.Readable
				got.Writable = got.Writable || ev.Writable
			}
		}
		if want(got) {
			return
		}
	}
	t.Fatalf("reported of %d: %+v", fd, got)
}

func readable(ev Event) bool { return ev.Readable }
func writable(ev Event) bool { return ev.Writable }
func both(ev Event) bool     { return ev.Readable && ev.Writable }

// nothing wants a look at the poller to find nothing.
func nothing(t *testing.T, p *Poller) {
	t.Helper()
	events, err := p.Wait(nil, 0)
	if err != nil || len(events) > 0 {
		t.Fatalf("Wait: %+v, %v, want nothing", events, err)
	}
}

func TestReadiness(t *testing.T) {
	p := newPoller(t, 8)
	a, b := pair(t)
	if err := p.Add(a); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, writable)
	nothing(t, p) // an edge is told once

	if _, err := unix.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, readable)
	nothing(t, p)
	if _, err := unix.Write(b, []byte("y")); err != nil { // again, with x unread
		t.Fatal(err)
	}
	await(t, p, a, readable)

	buf := make([]byte, 4096)
	for {
		if _, err := unix.Write(a, buf); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Wait(nil, 0); err != nil {
		t.Fatal(err)
	}
	for {
		if n, err := unix.Read(b, buf); err == unix.EAGAIN || n == 0 {
			break
		}
	}
	await(t, p, a, writable)
}

func TestReadyBeforeAdd(t *testing.T) {
	p := newPoller(t, 8)
	a, b := pair(t)
	if _, err := unix.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(a); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, both)
}

func TestHangupIsBoth(t *testing.T) {
	p := newPoller(t, 8)
	a, b := pair(t)
	if err := p.Add(a); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, writable)
	if err := unix.Shutdown(b, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, both)
}

func TestRemove(t *testing.T) {
	p := newPoller(t, 8)
	a, b := pair(t)
	if err := p.Add(a); err != nil {
		t.Fatal(err)
	}
	await(t, p, a, writable)
	if err := p.Remove(a); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	nothing(t, p)
}

func TestWake(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
	}{
		{"for ever", -1},
		{"an hour", time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPoller(t, 8)
			wait := func() <-chan error {
				done := make(chan error, 1)
				go func() {
					_, err := p.Wait(nil, c.timeout)
					done <- err
				}()
				return done
			}
			end := func(done <-chan error) {
				t.Helper()
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
				case <-time.After(forever):
					t.Fatal("Wait goes on")
				}
			}
			p.Wake() // before Wait
			end(wait())
			for range 100 { // during Wait, or shortly before
				done := wait()
				p.Wake()
				end(done)
			}
		})
	}
}

// A deadline that an earlier Wait left must not hold for a later one.
func TestTimeouts(t *testing.T) {
	p := newPoller(t, 8)
	for _, timeout := range []time.Duration{time.Millisecond, 0, 3 * time.Millisecond, time.Millisecond} {
		nothingBy := time.Now().Add(forever)
		events, err := p.Wait(nil, timeout)
		if err != nil || len(events) > 0 || time.Now().After(nothingBy) {
			t.Fatalf("Wait(%v): %v, %v", timeout, events, err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 3 { // it may return early
			if _, err := p.Wait(nil, -1); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			p.Wake()
		}
	}
}

// More descriptors than one Wait reports at a time: all are reported.
func TestManyDescriptors(t *testing.T) {
	const n = 300
	p := newPoller(t, 16)
	missing := make(map[int]bool)
	for range n {
		a, b := pair(t)
		if _, err := unix.Write(b, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := p.Add(a); err != nil {
			t.Fatal(err)
		}
		missing[a] = true
	}
	for end := time.Now().Add(forever); len(missing) > 0 && time.Now().Before(end); {
		events, err := p.Wait(nil, time.Until(end))
		if err != nil {
			t.Fatal(err)
		}
		if len(events) > 16 {
			t.Fatalf("%d events, at most 16", len(events))
		}
		for _, ev := range events {
			if ev.Readable {
				delete(missing, ev.FD)
			}
		}
	}
	if len(missing) > 0 {
		t.Fatalf("%d descriptors were not reported", len(missing))
	}
	nothing(t, p)
}

// Wake may race with Close, and comes too late afterwards.
func TestWakeAndClose(t *testing.T) {
	for range 50 {
		p, err := New(8)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 10 {
				p.Wake()
			}
		})
		runtime.Gosched()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatalf("second Close: %v", err)
		}
		// What takes the descriptors' numbers now must get nothing.
		a, b := pair(t)
		wg.Wait()
		p.Wake()
		for _, fd := range []int{a, b} {
			if n, err := unix.Read(fd, make([]byte, 8)); err != unix.EAGAIN {
				t.Fatalf("Wake after Close wrote to another descriptor: read %d, %v", n, err)
			}
		}
	}
}

func TestWaitAllocatesNothing(t *testing.T) {
	p := newPoller(t, 8)
	events := make([]Event, 0, 8)
	var wg sync.WaitGroup
	wake := make(chan struct{})
	wg.Go(func() {
		for range wake { // runs when Wait parks: AllocsPerRun leaves one processor
			p.Wake()
		}
	})
	defer wg.Wait()
	defer close(wake)
	got := testing.AllocsPerRun(100, func() {
		wake <- struct{}{}
		var err error
		if events, err = p.Wait(events[:0], time.Hour); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations per Wait, want 0", got)
	}
}
