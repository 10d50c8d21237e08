package fanlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// raceEnabled is set where the race detector, which needs memory, is on.
var raceEnabled bool

// checkIndex holds an index's structures against each other.
func checkIndex(t testing.TB, x *index) {
	t.Helper()
	known := 0
	for i := range x.slots {
		r := &x.slots[i]
		switch {
		case r.topic == nil && r.held != nil:
			t.Fatalf("slot %d is held and has no topic", i)
		case r.topic == nil:
			continue
		case int(r.topic.slot) != i || r.held != x.names[r.topic.name]:
			t.Fatalf("slot %d: topic %q of slot %d", i, r.topic.name, r.topic.slot)
		}
		known++
	}
	if known != x.known {
		t.Fatalf("%d topics known, counted %d", known, x.known)
	}
	for name, h := range x.names {
		if h.name != name || len(h.holders) == 0 || h.topic != nil && x.slots[h.topic.slot].held != h {
			t.Fatalf("%q: entry of %q, %d holders", name, h.name, len(h.holders))
		}
		for j, g := range h.holders {
			s := g.session
			want := 0
			if s.exact[name] {
				want = 1
			}
			for p, n := range s.patterns {
				if n > 0 && h.topic != nil && p != "" && strings.HasPrefix(name, p) {
					want++
				}
			}
			if g.at != j || s.holdings[h] != g || g.count != want {
				t.Fatalf("hold on %q: at %d, want %d; count %d, want %d", name, g.at, j, g.count, want)
			}
		}
	}
	o := &x.order
	if !o.used {
		return
	}
	if !slices.IsSortedFunc(o.topics[:o.sorted], func(a, b mention) int { return strings.Compare(a.topic.name, b.topic.name) }) {
		t.Fatal("topics are out of order")
	}
	for _, m := range o.topics {
		if x.knows(m) {
			known--
		}
	}
	if known != 0 {
		t.Fatalf("order lacks %d topics that are known", known)
	}
}

// Prefixes hold what begins with them, however topics come, go and come again,
// and the order keeps no more than twice what there is.
func TestPrefixesOfComingAndGoingTopics(t *testing.T) {
	l := still(t)
	s, other := enter(l), enter(l)
	r := rand.New(rand.NewPCG(1, 1))
	name := func() string { return fmt.Sprint("t", r.IntN(10000)) }
	var mine []string
	for i := range 40 {
		for range 1500 {
			put(l, event(i, name(), 300))
		}
		for l.takeIn() {
		}
		p := fmt.Sprint("t", r.IntN(100))
		if i%3 == 2 && len(mine) > 0 {
			p, mine = mine[0], mine[1:]
			s.UnsubscribePrefix(p)
		} else {
			mine = append(mine, p)
			if err := s.SubscribePrefix(p); err != nil {
				t.Fatal(err)
			}
		}
		n := name()
		if err := other.Subscribe(n); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			other.Unsubscribe(n)
		}
		check(t, l)
		held := 0
		for i := range l.index.slots {
			if topic := l.index.slots[i].topic; topic != nil && slices.ContainsFunc(mine, func(p string) bool { return strings.HasPrefix(topic.name, p) }) {
				held++
			}
		}
		if held != len(s.holdings) {
			t.Fatalf("%d topics held, want %d", len(s.holdings), held)
		}
		if got := len(l.index.order.topics); got > 2*l.index.known+2*slack {
			t.Fatalf("order of %d for %d topics", got, l.index.known)
		}
	}
	if l.fan.log.segs[0].seq < 5 {
		t.Errorf("only %d segments retired", l.fan.log.segs[0].seq-1)
	}
	for _, p := range mine {
		s.UnsubscribePrefix(p)
	}
	retireAll(l, s)
	if check(t, l); l.index.order.used {
		t.Error("an order that nobody needs")
	}
}

// A topic that is subscribed to after its events are looked at is found all the
// same by a session that goes back to them.
func TestResumeToTopicNobodyHeld(t *testing.T) {
	for _, r := range []request{{'s', "b"}, {'p', "b"}} {
		l := still(t)
		put(l, event(1, "a", 100), event(2, "b", 100), event(3, "a", 100), event(4, "b", 100))
		l.takeIn()
		s := enter(l)
		if err := r.apply(s); err != nil {
			t.Fatal(err)
		}
		if !s.Resume(0) {
			t.Fatal("can't resume")
		}
		if got := take(t, l, s, 1000).numbers(); !slices.Equal(got, []int{2, 4}) {
			t.Errorf("%c: got %v, want [2 4]", r.op, got)
		}
		check(t, l)
	}
}

// Ever new topics stay within the budget, as events do: the log's knowledge of
// them, and every loop's.
func TestMemoryOfTopics(t *testing.T) {
	if raceEnabled {
		t.Skip("measured without the race detector")
	}
	const topics = 2_000_000
	// Some segments wait to be used again, and tables are as large as they
	// were at most.
	const most = 4*segmentSize + maxFree*(segmentSize+maxEntries*entrySize) + 8<<20
	for _, sub := range []request{{'s', "none"}, {'p', "none"}} {
		before := memory()
		f := open(t, Options{Retention: 4 << 20, Loops: 2})
		for range f.loops {
			connect(t, f, 4<<10).subscribe(sub.op, sub.text)
		}
		frames := make([]Frame, 500)
		buf := make([]byte, 0, 32*len(frames))
		peak, retained := int64(0), int64(0)
		for n := 0; n < topics; {
			buf = buf[:0]
			for i := range frames {
				from := len(buf)
				buf = fmt.Appendf(buf, "topic-%d", n)
				frames[i] = Frame{Topic: buf[from:], Parts: [3][]byte{buf[from:]}}
				n++
			}
			mustAppend(t, f, frames...)
			retained = max(retained, f.Stats().Retained)
			if n%250_000 == 0 {
				peak = max(peak, memory()-before)
			}
		}
		t.Logf("%c: heap %d KB, retained %d KB, %d topics", sub.op, peak>>10, retained>>10, len(f.log.ids))
		if peak > most {
			t.Errorf("%c: heap %d KB, at most %d", sub.op, peak>>10, most>>10)
		}
		if retained > 4<<20+2*segmentSize {
			t.Errorf("%c: retained %d KB", sub.op, retained>>10)
		}
		f.Close()
	}
}

// The older half, whose readers hold up appends, is one of the events: topics
// may take most of the budget.
func TestHalfOfWhatTopicsLeave(t *testing.T) {
	l := newLog(16<<20, 1)
	names := make([]string, 40000)
	for i := range names {
		names[i] = fmt.Sprint("t", i)
	}
	for i := 0; l.segs[0].seq < 5; i++ {
		e := event(i, names[i%len(names)], 200)
		l.appendLocked(&e)
	}
	var all, newer int64
	for _, seg := range l.segs {
		all += seg.memory()
		if seg.seq >= l.half {
			newer += seg.memory()
		}
	}
	t.Logf("%d KB of topics, %d KB of segments, %d KB of them in the newer half", l.topics>>10, all>>10, newer>>10)
	if l.topics < 5<<20 || newer > all/2+segmentSize || newer < all/2-2*segmentSize {
		t.Error("that is not half")
	}
}

// BenchmarkNewTopics has n topics appear, be looked at and, in the end, retire.
func BenchmarkNewTopics(b *testing.B) {
	for _, c := range []struct {
		name   string
		prefix string
	}{{"names", ""}, {"prefixes", "zz"}} {
		for _, n := range []int{10_000, 100_000, 1_000_000} {
			frames := make([]Frame, n)
			for i, k := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
				frames[i] = event(i, fmt.Sprint("t", k), 30)
			}
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				for b.Loop() {
					l := stillOf(b, 1<<30)
					s := enter(l)
					if c.prefix != "" {
						if err := s.SubscribePrefix(c.prefix); err != nil {
							b.Fatal(err)
						}
					}
					for i := 0; i < n; i += 1000 {
						put(l, frames[i:i+1000]...)
						l.takeIn()
					}
					l.fan.log.budget = 1
					retireAll(l, s)
					if c.prefix != "" {
						s.UnsubscribePrefix(c.prefix)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/topic")
			})
		}
	}
}
