package fanlog

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// flooder is a handler whose peer is never done asking: each time that its
// requests are read there are more.
type flooder struct {
	*handler
	peer  int // its end of the connection
	junk  []byte
	reads atomic.Int64

	round uint64 // the loop's, in which Input was last called
	batch int    // how often in that round
	most  int
}

func (h *flooder) Input(s *Session, p []byte) (int, error) {
	if s.loop.round != h.round {
		h.round, h.batch = s.loop.round, 0
	}
	h.batch++
	h.most = max(h.most, h.batch)
	if h.reads.Add(1) == 1 {
		s.Activate()
		if err := s.Subscribe("x"); err != nil {
			return 0, err
		}
	}
	_, _ = unix.Write(h.peer, h.junk)
	return len(p), nil
}

// With one processor, a session that floods its loop with requests gets its
// share and no more: it and a hundred others get every event.
func TestFloodOfRequestsIsServedFairly(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const sessions, events = 100, 60
	f := open(t, Options{Loops: 1})
	counts := make([]atomic.Int64, sessions+1)
	var wg sync.WaitGroup
	for i := range sessions {
		p := connect(t, f, 64<<10)
		p.subscribe('s', "x")
		p.discard(&wg, &counts[i])
	}

	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	h := &flooder{handler: newHandler(), junk: make([]byte, 32<<10)}
	p := newPeer(t, fds[1], h.handler)
	h.peer = p.fd
	if _, err := unix.Write(h.peer, h.junk); err != nil {
		t.Fatal(err)
	}
	f.Attach(fds[0], h, nil)
	eventually(t, "the flood begins", func() bool { return h.reads.Load() > 100 })
	p.discard(&wg, &counts[sessions])

	before := h.reads.Load()
	for n := range events {
		mustAppend(t, f, event(n, "x", 200))
		for i := range counts {
			eventually(t, "everybody gets the event", func() bool { return counts[i].Load() == int64(n+1) })
		}
	}
	if got := h.reads.Load() - before; got < events {
		t.Errorf("%d requests were read in the time of %d events: no flood", got, events)
	}
	f.Close()
	<-h.closed
	if h.most > 4 {
		t.Errorf("%d reads of one session in a row", h.most)
	}
	p.conn.Close()
	wg.Wait()
}

// A session that lost and was not told yet takes part in nothing: it begins
// anew when it is told, not in the middle of what was appended since, and is
// not lost again and again.
func TestLostSessionWaitsToBeTold(t *testing.T) {
	for _, r := range []request{{'s', "x"}, {'p', "x"}, {'p', ""}} {
		l := still(t)
		s := enter(l)
		if err := r.apply(s); err != nil {
			t.Fatal(err)
		}
		put(l, event(1, "x", 100))
		l.takeIn()
		for i := range 3 {
			retireAll(l, s)
			put(l, event(2+i, "x", 100))
			l.takeIn()
			if !s.lost || !s.caught {
				t.Fatalf("%c %q: lost %v, caught up %v before it was told", r.op, r.text, s.lost, s.caught)
			}
		}
		if got := l.fan.lost.Load(); got != 1 {
			t.Errorf("%c %q: lost %d times, want once", r.op, r.text, got)
		}
		m := take(t, l, s, 1000)
		if len(m.items) != 1 || m.items[0].kind != kindLost {
			t.Errorf("%c %q: got %v, want a notice of loss and nothing of what was before", r.op, r.text, m.items)
		}
		put(l, event(9, "x", 100))
		if got := take(t, l, s, 1000).numbers(); len(got) != 1 || got[0] != 9 {
			t.Errorf("%c %q: got %v, want event 9", r.op, r.text, got)
		}
	}
}
