package fanlog

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pauser is a handler that stops the reading after each request.
type pauser struct {
	*handler
	length time.Duration
}

func (h *pauser) Input(s *Session, p []byte) (int, error) {
	if len(p) < 2 || len(p) < 2+int(p[1]) {
		return 0, nil
	}
	n, err := h.handler.Input(s, p[:2+int(p[1])])
	s.Pause(time.Now().Add(h.length))
	return n, err
}

// attach gives one end of a pair to a handler of the test's.
func attach(t testing.TB, f *Fanout, as Handler, h *handler) *peer {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	p := &peer{t: t, h: h, conn: os.NewFile(uintptr(fds[1]), "peer"), fd: fds[1]}
	t.Cleanup(func() { p.conn.Close() })
	f.Attach(fds[0], as, nil)
	return p
}

// A session that is paused is not read, but is sent events; afterwards what it
// had sent meanwhile counts, even if no more comes and nothing else happens.
func TestX4Pause(t *testing.T) {
	const count, length = 20, 50 * time.Millisecond
	f := open(t, Options{Loops: 1, Tick: time.Hour})
	h := &pauser{handler: newHandler(), length: length}
	p := attach(t, f, h, h.handler)
	begin := time.Now()
	for i := range count {
		p.ask('s', fmt.Sprint("t", i)) // most of it comes with one read
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(forever))
	for i := range count {
		if kind, _, err := p.frame(); err != nil || kind != kindAck {
			t.Fatalf("request %d: got %c, %v", i, kind, err)
		}
		// Subscribed to t0 at the least: events come during the pauses.
		mustAppend(t, f, event(i, "t0", 100))
		if number, _ := p.next(); number != i {
			t.Fatalf("event %d, want %d", number, i)
		}
	}
	if took := time.Since(begin); took < (count-1)*length {
		t.Errorf("%d requests took %v, with a pause of %v after each", count, took, length)
	}
	rounds := make(chan uint64, 1)
	f.loops[0].post(func() { rounds <- f.loops[0].round })
	if n := <-rounds; n > 20*count {
		t.Errorf("the loop made %d rounds for %d requests: it does not sleep in a pause", n, count)
	}
	// One that goes in its pause is closed at the end of that.
	p.conn.Close()
	select {
	case <-h.closed:
	case <-time.After(forever):
		t.Error("the end of a session was not noticed after a pause")
	}
}

// busy is a handler that takes its time.
type busy struct {
	*handler
	spend  time.Duration
	inputs int
}

func (h *busy) Input(s *Session, p []byte) (int, error) {
	h.inputs++
	for end := time.Now().Add(h.spend); time.Now().Before(end); {
	}
	return len(p), nil
}

// However much there is to read, a round reads for a while only, and the next
// one begins with those who were not read.
func TestX4ReadTurn(t *testing.T) {
	l := still(t)
	var handlers []*busy
	for range 3 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
		for _, fd := range fds {
			if err := unix.SetNonblock(fd, true); err != nil {
				t.Fatal(err)
			}
		}
		// More than a turn's reads take, so that it stays readable.
		if err := unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
			t.Fatal(err)
		}
		for range 5 * len(l.input) / 1000 {
			if _, err := unix.Write(fds[1], make([]byte, 1000)); err != nil {
				break // as much as fits
			}
		}
		h := &busy{handler: newHandler(), spend: readTurn}
		handlers = append(handlers, h)
		s := &Session{loop: l, fd: fds[0], handler: h, busy: -1, readable: true}
		l.sessions[fds[0]] = s
		l.readable = append(l.readable, s)
	}
	for round := range 6 {
		before := make([]int, len(handlers))
		for i, h := range handlers {
			before[i] = h.inputs
		}
		l.readAll()
		for i, h := range handlers {
			if got, want := h.inputs > before[i], i == round%3; got != want && round < 3 {
				t.Errorf("round %d: session %d was read: %t, want %t", round, i, got, want)
			}
		}
	}
}

// A session with very many subscriptions that goes is forgotten bit by bit, and
// gets nothing meanwhile.
func TestX4LeavesInTurns(t *testing.T) {
	const many = 15 * leaveTurn
	l := still(t)
	s, other := enter(l), enter(l)
	for i := range many {
		if err := s.Subscribe(fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		put(l, event(i, fmt.Sprint("p", i), 50))
	}
	l.takeIn()
	for range 10 {
		for _, text := range []string{"p", "p1", "p2", ""} {
			if err := s.SubscribePrefix(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := other.Subscribe("t1"); err != nil {
		t.Fatal(err)
	}
	l.makeIdle(s)
	s.closed = true
	delete(l.sessions, s.fd)
	l.dismiss(s)
	rounds := 0
	for ; len(l.leaving) > 0; rounds++ {
		before := s.work
		l.dismissSome()
		if cost := s.work - before; cost > 3*leaveTurn {
			t.Fatalf("one round let go %d holds", cost)
		}
		put(l, event(1000+rounds, "t1", 50), event(1000+rounds, "p1new", 50))
		l.takeIn()
		if s.busy >= 0 || len(l.busy) != 1 {
			t.Fatalf("round %d: %d sessions have something to be written", rounds, len(l.busy))
		}
		if rounds == 7 {
			check(t, l)
		}
	}
	if rounds < 10 {
		t.Errorf("all was let go in %d rounds", rounds)
	}
	for name, h := range l.index.names {
		if want := map[bool]int{true: 1}[name == "t1"]; len(h.holders) != want {
			t.Fatalf("%q has %d holders, want %d", name, len(h.holders), want)
		}
	}
	if len(l.index.names) > 302 || len(l.index.prefixes)+len(l.index.lengths)+len(l.greedy) > 0 {
		t.Errorf("%d names and %d prefixes are left", len(l.index.names), len(l.index.prefixes))
	}
}

// Names that only subscribers speak of cost a prefix nothing; they count when
// they have an event. The same prefix twice costs no more than once.
func TestX4MadeUpNames(t *testing.T) {
	l := still(t)
	s, prefixed := enter(l), enter(l)
	for i := range 1000 {
		if err := s.Subscribe(fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	work := prefixed.Work()
	for range 100 {
		if err := prefixed.SubscribePrefix("t"); err != nil {
			t.Fatal(err)
		}
	}
	if cost := prefixed.Work() - work; cost > 0 {
		t.Errorf("a prefix of names without events was matched to %d", cost)
	}
	put(l, event(1, "t7", 50), event(2, "t8", 50), event(3, "u", 50))
	l.takeIn()
	check(t, l)
	if cost := prefixed.Work() - work; cost != 2 {
		t.Errorf("it was matched to %d, want 2", cost)
	}
	retireAll(l, nil)
	put(l, event(4, "t7", 50)) // to the log it is another topic now
	l.takeIn()
	check(t, l)
	for range 100 {
		prefixed.UnsubscribePrefix("t")
	}
	check(t, l)
	if cost := prefixed.Work() - work; cost != 6 { // two came and went, then one
		t.Errorf("%d until it had gone, want 6", cost)
	}
}
