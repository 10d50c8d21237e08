package fanlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// still returns a loop that nobody runs: the test makes its rounds.
func still(t testing.TB) *loop {
	t.Helper()
	return stillOf(t, 4*segmentSize)
}

func stillOf(t testing.TB, budget int64) *loop {
	t.Helper()
	f := &Fanout{
		opts:     Options{Retention: 4 * segmentSize, MaxSubscriptions: 100000, Tick: time.Hour, Log: slog.New(slog.DiscardHandler)},
		log:      newLog(budget, 1),
		progress: make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	l, err := newLoop(f)
	if err != nil {
		t.Fatal(err)
	}
	f.loops = []*loop{l}
	t.Cleanup(func() { l.poller.Close() })
	return l
}

// enter adds a session without a socket.
func enter(l *loop) *Session {
	return enterAs(l, newHandler())
}

func enterAs(l *loop, h Handler) *Session {
	s := &Session{loop: l, fd: -len(l.sessions) - 1, handler: h, busy: -1}
	s.marker, _ = h.(Marker)
	l.sessions[s.fd] = s
	s.Activate()
	return s
}

func put(l *loop, frames ...Frame) {
	l.fan.log.mu.Lock()
	defer l.fan.log.mu.Unlock()
	for i := range frames {
		l.fan.log.appendLocked(&frames[i])
	}
}

// step does what serve does for one write of which the socket takes up to n
// bytes, and returns those.
func step(l *loop, s *Session, n int) []byte {
	if s.at.skip == 0 && len(s.out) > 0 {
		n = min(n, len(s.out))
		took := append([]byte(nil), s.out[:n]...)
		s.out = s.out[n:]
		return took
	}
	if s.lost {
		s.lost = false
		s.handler.Lost(s)
		return nil
	}
	if !s.active || s.caught {
		l.makeIdle(s)
		return nil
	}
	if l.window.head.less(s.at) {
		return nil
	}
	c := l.gather(s)
	n = min(n, len(c.bytes))
	s.sent += uint64(n)
	took := append([]byte(nil), c.bytes[:n]...)
	if len(c.bytes) > 0 {
		l.advance(s, c, n)
	} else {
		s.at = c.end
	}
	if s.at.skip == 0 && !s.at.less(l.window.head) {
		s.caught = true
	}
	if s.marker != nil && s.sent-s.mark >= markEvery {
		_ = s.makeMark()
	}
	return took
}

// FuzzSessions drives log, window, index and gather with three sessions through
// appends, requests, rounds and writes of any size, and asks the naive model
// of the other tests.
func FuzzSessions(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x10\x20\x30\x40\x50\x60\x70\x80"))
	f.Add([]byte("2a2b2c0a0b0c1a3a3b3c0z0y0x1a3p3q4a4b4c2d0a1a3a"))
	f.Add([]byte("0\xff0\xfe0\xfd0\xfc0\xfb1a0\xff0\xfe0\xfd0\xfc0\xfb0\xff0\xfe0\xfd0\xfc0\xfb0\xfa1a3a3b3c1a3a3b"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		ops = ops[:min(len(ops), 1000)] // the model's cost is not linear
		l := still(t)
		sessions := make([]*Session, 3)
		models := make([]*model, 3)
		for i := range sessions {
			sessions[i], models[i] = enter(l), &model{}
		}
		sessions[2] = enterAs(l, marker{newHandler()})
		topics := []string{""}
		names := []string{"a", "ab", "abc", "b", "bc", "c"}
		// As run does: what is asked takes effect before the next look at the
		// log, and writes come after that. A round's lists know nothing of
		// requests that came after them.
		asked := false
		look := func() bool { asked = false; return l.takeIn() }
		take := func(i, n int) {
			if asked {
				look()
			}
			if sessions[i].closed {
				return
			}
			if err := models[i].read(step(l, sessions[i], n), len(topics)-1); err != nil {
				t.Fatal(err)
			}
		}
		demand := func(i int, r request) {
			m, s := models[i], sessions[i]
			if len(s.out) > maxPrivate/2 {
				return
			}
			asked = asked || r.op != 'm' && r.op != 'r'
			m.asked = append(m.asked, r)
			if err := r.apply(s); err != nil {
				t.Fatal(err)
			}
			if err := s.Send(ack(len(m.asked))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range sessions {
			demand(i, request{'s', "END"})
		}
		// A torn session is closed, rightly; its stream ends anywhere.
		replace := func() {
			for i, s := range sessions {
				if s.closed {
					sessions[i], models[i] = enter(l), &model{}
					demand(i, request{'s', "END"})
				}
			}
		}
		large := 0
		for ; len(ops) >= 2; ops = ops[2:] {
			op, arg := ops[0], int(ops[1])
			i := int(op>>4) % 3
			switch op % 7 {
			case 0:
				size := arg * 7
				if arg >= 0xf0 && large < 24 {
					size, large = (arg-0xe0)*20<<10, large+1
				}
				put(l, event(len(topics), names[arg%len(names)], size))
				topics = append(topics, names[arg%len(names)])
			case 1:
				look()
			case 2:
				name := names[arg%len(names)]
				demand(i, request{"supq"[arg>>3&3], name})
			case 3:
				take(i, arg*arg*8)
			case 4:
				demand(i, request{"pq"[arg&1], ""})
			case 5:
				demand(i, request{'m', ""})
			case 6:
				first, head := int(l.fan.log.segs[0].base), len(topics)-1
				demand(i, request{'r', fmt.Sprint(max(first-1+(head-first+2)*arg/255, 0))})
			}
			replace()
			check(t, l)
		}
		drain := func() {
			for look() {
			}
			replace()
			for i, s := range sessions {
				for n := 0; (s.owed() || len(s.out) > 0) && n < 100000; n++ {
					take(i, 100<<10)
				}
			}
		}
		drain()
		put(l, event(len(topics), "END", 10))
		topics = append(topics, "END")
		drain()
		for i, m := range models {
			m.topics = topics
			if _, err := m.judge(); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		}
		for _, s := range sessions {
			l.makeIdle(s)
			l.dismiss(s)
			for !s.unsubscribe(1) {
			}
		}
		checkIndex(t, l.index)
		if len(l.index.names) > 0 {
			t.Errorf("%d topics are still held", len(l.index.names))
		}
		if len(l.index.prefixes)+len(l.index.lengths)+len(l.greedy) > 0 {
			t.Error("prefixes are left")
		}
	})
}

// check holds the loop's structures against each other.
func check(t testing.TB, l *loop) {
	t.Helper()
	for i, s := range l.busy {
		if s.busy != i {
			t.Fatalf("busy[%d] says %d", i, s.busy)
		}
	}
	checkIndex(t, l.index)
	for i := range l.window.views {
		v := &l.window.views[i]
		if v.seg.refs.Load() < 1 || v.seg.seq != l.window.views[0].seg.seq+uint64(i) {
			t.Fatalf("view %d: %d references, sequence %d", i, v.seg.refs.Load(), v.seg.seq)
		}
	}
	memory := l.fan.log.topics
	for _, seg := range l.fan.log.segs {
		memory += seg.memory()
	}
	if memory != l.fan.log.memory {
		t.Fatalf("memory %d, counted %d", memory, l.fan.log.memory)
	}
	memory = 0
	for name := range l.fan.log.ids {
		memory += l.fan.log.topicCost + int64(len(name))
	}
	if memory != l.fan.log.topics {
		t.Fatalf("memory of topics %d, counted %d", memory, l.fan.log.topics)
	}
}

// What a round looks at follows from the matches, not from the topics,
// subscriptions and sessions that there are.
func TestCostFollowsMatches(t *testing.T) {
	const n = 10000
	l := still(t)
	big := enter(l)
	for i := range n {
		if err := big.Subscribe(fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
		put(l, event(i+1, fmt.Sprint("t", i), 20))
	}
	for i := range 1000 {
		if err := enter(l).Subscribe(fmt.Sprint("t", i)); err != nil {
			t.Fatal(err)
		}
	}
	for l.takeIn() {
	}
	for len(l.busy) > 0 {
		step(l, l.busy[len(l.busy)-1], 1<<20)
	}
	for i := range 10 {
		put(l, event(n+i, "t7", 20), event(n+i, "other", 20))
	}
	l.takeIn()
	if len(l.busy) != 2 || len(l.marked) != 1 || !l.unheld || big.topics != 1 {
		t.Errorf("%d sessions busy, %d topics marked, %d listed; want 2, 1, 1", len(l.busy), len(l.marked), big.topics)
	}
	l.gather(big)
	if len(l.merged) != 10 {
		t.Errorf("%d events merged, want 10", len(l.merged))
	}
}

// An event that was begun is completed, whatever happens to the session.
func TestRestOfEvent(t *testing.T) {
	cases := []struct {
		name string
		size int
		then func(l *loop, s *Session)
		torn bool
	}{
		{"unsubscribed", 50 << 10, func(_ *loop, s *Session) { s.Unsubscribe("x") }, false},
		{"retired", 50 << 10, retireAll, false},
		{"large and retired", 300 << 10, retireAll, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := still(t)
			s := enter(l)
			if err := s.Subscribe("x"); err != nil {
				t.Fatal(err)
			}
			put(l, event(1, "y", 10), event(2, "x", c.size), event(3, "x", 100))
			l.takeIn()
			m := &model{}
			if err := m.read(step(l, s, 1000), 0); err != nil {
				t.Fatal(err)
			}
			c.then(l, s)
			if c.torn {
				if err := <-s.handler.(*handler).closed; !s.closed || !errors.Is(err, ErrTorn) {
					t.Errorf("closed: %v, %v; want %v", s.closed, err, ErrTorn)
				}
				return
			}
			l.takeIn()
			for s.owed() || len(s.out) > 0 {
				if err := m.read(step(l, s, 777), 0); err != nil {
					t.Fatal(err)
				}
			}
			if len(m.buf) > 0 || len(m.items) == 0 || m.items[0] != (item{kind: kindEvent, number: 2}) {
				t.Errorf("got %v and %d bytes", m.items, len(m.buf))
			}
		})
	}
}

func retireAll(l *loop, _ *Session) {
	for i := range 6 {
		put(l, event(10+i, "y", segmentSize-100))
		l.takeIn()
	}
}

// An event, from Append to the other end, costs no allocation.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	f := open(t, Options{Retention: 1, Loops: 1, Tick: time.Hour})
	p := connect(t, f, 0)
	p.subscribe('p', "")
	frames := []Frame{event(1, "x", 40<<10)}
	buf := make([]byte, 40<<10)
	round := func() {
		if _, err := f.Append(context.Background(), frames); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p.conn, buf); err != nil {
			t.Fatal(err)
		}
	}
	for range 400 { // until segments are recycled
		round()
	}
	if got := testing.AllocsPerRun(400, round); got > 0 {
		t.Errorf("%v allocations per event, want 0", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	f := open(b, Options{Loops: 1})
	frames := []Frame{event(1, "topic", 200)}
	b.SetBytes(200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Append(context.Background(), frames); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := open(b, Options{})
			var wg sync.WaitGroup
			var bytes atomic.Int64
			for range n {
				p := connect(b, f, 0)
				p.subscribe('p', "")
				wg.Go(func() {
					for buf := make([]byte, 256<<10); ; {
						n, err := p.conn.Read(buf)
						if err != nil {
							return
						}
						bytes.Add(int64(n))
					}
				})
			}
			frames := make([]Frame, 64)
			for i := range frames {
				frames[i] = event(i, "topic", 200)
			}
			b.ResetTimer()
			sent := 0
			for ; sent < b.N; sent += len(frames) {
				mustAppend(b, f, frames...)
			}
			eventually(b, "all bytes", func() bool { return bytes.Load() == int64(sent)*int64(n)*200 })
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent)/float64(n), "ns/delivery")
			f.Close()
			wg.Wait()
		})
	}
}

// BenchmarkSelective publishes to one of many topics, each of which one of many
// sessions holds: the figure should not follow their number.
func BenchmarkSelective(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := stillOf(b, 64<<20) // of which the topics are a small part
			frames := make([]Frame, n)
			for i := range n {
				frames[i] = event(i, fmt.Sprint("t", i), 200)
				if err := enter(l).Subscribe(fmt.Sprint("t", i)); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for i := range b.N {
				put(l, frames[i%n])
				l.takeIn()
				for len(l.busy) > 0 {
					step(l, l.busy[len(l.busy)-1], 1<<20)
				}
			}
		})
	}
}
