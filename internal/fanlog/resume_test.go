package fanlog

import (
	"slices"
	"testing"
)

// take makes rounds until a session has everything, and returns the numbers of
// the events and notices that it got.
func take(t *testing.T, l *loop, s *Session, n int) *model {
	t.Helper()
	m := &model{}
	for l.takeIn() {
	}
	for s.owed() || len(s.out) > 0 {
		if err := m.read(step(l, s, n), 0); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *model) numbers() (numbers []int) {
	for _, it := range m.items {
		if it.kind == kindEvent {
			numbers = append(numbers, it.number)
		}
	}
	return numbers
}

// holders returns sessions that get topic x in each of the ways there are.
func holders(t *testing.T, l *loop) map[string]*Session {
	t.Helper()
	sessions := make(map[string]*Session)
	for name, r := range map[string]request{"exact": {'s', "x"}, "prefix": {'p', "x"}, "greedy": {'p', ""}} {
		sessions[name] = enter(l)
		if err := r.apply(sessions[name]); err != nil {
			t.Fatal(err)
		}
	}
	return sessions
}

// An offset is good from the first event that is retained to the end of the
// log, and from there on everything comes again.
func TestResumeBounds(t *testing.T) {
	l := still(t)
	sessions := holders(t, l)
	n := 0
	for l.fan.log.segs[0].seq < 3 {
		n++
		put(l, event(n, "x", 10<<10))
		if n%10 == 0 {
			for _, s := range sessions {
				take(t, l, s, 1<<20)
			}
		}
	}
	for _, s := range sessions {
		take(t, l, s, 1<<20)
	}
	first := int(l.fan.log.segs[0].base)
	second := int(l.fan.log.segs[1].base)
	if first == 0 || l.fan.log.headLocked() != uint64(n) {
		t.Fatalf("first offset %d, last %d of %d events", first, l.fan.log.headLocked(), n)
	}
	for name, s := range sessions {
		for _, c := range []struct {
			offset int
			ok     bool
		}{
			{0, false}, {first - 1, false}, {first, true}, {first + 1, true},
			{second - 1, true}, {second, true}, {second + 1, true},
			{n - 1, true}, {n, true}, {n + 1, false}, {-1, false},
		} {
			_, before, _ := s.Position()
			if ok := s.Resume(uint64(c.offset)); ok != c.ok {
				t.Errorf("%s: Resume(%d): %v, want %v", name, c.offset, ok, c.ok)
			}
			want := n
			if c.ok {
				want = c.offset
			}
			if got, _, whole := s.Position(); got != uint64(want) || !whole {
				t.Errorf("%s: position %d, %v after Resume(%d), want %d", name, got, whole, c.offset, want)
			}
			got := take(t, l, s, 3000).numbers()
			if len(got) != n-want || len(got) > 0 && (got[0] != want+1 || got[len(got)-1] != n) || !slices.IsSorted(got) {
				t.Errorf("%s: %d events after Resume(%d), want %d to %d", name, len(got), c.offset, want+1, n)
			}
			if offset, messages, whole := s.Position(); offset != uint64(n) || messages != before+uint64(len(got)) || !whole {
				t.Errorf("%s: position %d, %d, %v, want %d, %d, true", name, offset, messages, whole, n, before+uint64(len(got)))
			}
		}
	}
}

// Events that the loop has not looked at yet: none is lost, none comes twice.
func TestResumeAheadOfTheLoop(t *testing.T) {
	for _, events := range []int{1, 50, 150, 9000} { // up to two looks at the log, and two segments
		for _, back := range []int{0, 1, 40, 5000} {
			l := still(t)
			for name, s := range holders(t, l) {
				head := int(l.fan.log.headLocked())
				for i := range events {
					put(l, event(head+i+1, "x", 150))
				}
				from := head + max(events-back, 0)
				if !s.Resume(uint64(from)) {
					t.Fatalf("%s: can't resume at %d of %d", name, from, head+events)
				}
				// It has no socket to write to.
				if err := l.serve(s); err != nil || s.caught && from != head {
					t.Fatalf("%s: %v, caught up %v, before the loop looked", name, err, s.caught)
				}
				if got, _, whole := s.Position(); got != uint64(from) || !whole {
					t.Errorf("%s: position %d, %v, want %d", name, got, whole, from)
				}
				put(l, event(head+events+1, "x", 150))
				got := take(t, l, s, 1000).numbers()
				if len(got) != head+events+1-from || got[0] != from+1 || !slices.IsSorted(got) {
					t.Errorf("%s: %d events from %d on, want %d", name, len(got), from, head+events+1-from)
				}
			}
		}
	}
}

// What a session waits for may be far ahead when the loop has missed segments:
// all others lost something, this one did not.
func TestResumeFarAhead(t *testing.T) {
	l := still(t)
	s, other := enter(l), enter(l)
	for _, s := range []*Session{s, other} {
		if err := s.Subscribe("x"); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	add := func(count, size int) {
		for range count {
			n++
			put(l, event(n, "x", size))
		}
	}
	add(3, segmentSize-100)
	add(scanLimit+1000, 100) // more than a look takes in
	add(2, segmentSize-100)
	if first := l.fan.log.segs[0].seq; first < 3 || !s.Resume(uint64(n-1)) {
		t.Fatalf("first segment %d", first)
	}
	if more := l.takeIn(); !more || s.lost || !other.lost || !l.window.head.less(s.at) {
		t.Fatalf("more %v, lost %v, the other %v; head %v, at %v", more, s.lost, other.lost, l.window.head, s.at)
	}
	if got := take(t, l, s, 1<<20).numbers(); !slices.Equal(got, []int{n}) {
		t.Errorf("got %v, want %d", got, n)
	}
}

// What a round has listed for a session is about its place and subscriptions
// of before.
func TestChangesWithinARound(t *testing.T) {
	for _, c := range []struct {
		r    request
		want []int
	}{
		{request{'n', ""}, []int{4}},
		{request{'r', "1"}, []int{2, 4}},
		{request{'r', "4"}, nil},
		{request{'s', "y"}, []int{3, 4}},
		{request{'p', "y"}, []int{3, 4}},
		{request{'u', "x"}, nil},
		{request{'q', "x"}, []int{4}}, // which it doesn't have
	} {
		l := still(t)
		s := enter(l)
		if err := s.Subscribe("x"); err != nil {
			t.Fatal(err)
		}
		put(l, event(1, "z", 100), event(2, "x", 100))
		take(t, l, s, 1000)
		put(l, event(3, "y", 100), event(4, "x", 100))
		l.takeIn()
		if err := c.r.apply(s); err != nil {
			t.Fatal(err)
		}
		m := &model{}
		for s.owed() || len(s.out) > 0 {
			if err := m.read(step(l, s, 1000), 0); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.numbers(); !slices.Equal(got, c.want) {
			t.Errorf("%c %q: got %v, want %v", c.r.op, c.r.text, got, c.want)
		}
	}
}

// It falls out of retention before the loop looks: it is told.
func TestResumeAheadAndRetired(t *testing.T) {
	l := still(t)
	s := enter(l)
	if err := s.Subscribe("x"); err != nil {
		t.Fatal(err)
	}
	put(l, event(1, "y", segmentSize-100), event(2, "x", 200), event(3, "x", 100))
	if !s.Resume(2) {
		t.Fatal("can't resume")
	}
	for i := range 6 {
		put(l, event(i+4, "y", segmentSize-100))
	}
	if _, _, whole := s.Position(); whole {
		t.Error("a position that is not retained")
	}
	m := take(t, l, s, 1000)
	if len(m.items) != 1 || m.items[0].kind != kindLost {
		t.Errorf("got %v, want a notice of loss", m.items)
	}
	if s.Resume(2) {
		t.Error("resumed at what is retired")
	}
}

// A session that is inside an event completes it first.
func TestResumeInsideEvent(t *testing.T) {
	for _, size := range []int{1000, 50 << 10, 300 << 10} {
		l := still(t)
		s := enter(l)
		if err := s.Subscribe("x"); err != nil {
			t.Fatal(err)
		}
		put(l, event(1, "x", 100), event(2, "x", size), event(3, "x", 100))
		l.takeIn()
		m := &model{}
		if err := m.read(step(l, s, 600), 0); err != nil {
			t.Fatal(err)
		}
		if offset, messages, whole := s.Position(); offset != 2 || messages != 2 || !whole {
			t.Errorf("position %d, %d, %v inside event 2 of %d bytes; at %v", offset, messages, whole, size, s.at)
		}
		want := []int{1, 2, 1, 2, 3}
		if ok := s.Resume(0); ok != (size < maxPrivate) {
			t.Errorf("Resume inside an event of %d bytes: %v", size, ok)
		} else if !ok {
			want = []int{1, 2, 3}
		}
		for s.owed() || len(s.out) > 0 {
			if err := m.read(step(l, s, 777), 0); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.numbers(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if offset, messages, whole := s.Position(); offset != 3 || messages != uint64(len(want)) || !whole {
			t.Errorf("position %d, %d, %v at the end", offset, messages, whole)
		}
	}
}
