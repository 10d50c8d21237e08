package numbering

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
)

// next publishes one event.
func next(t testing.TB, b *Book, topic string) uint64 {
	t.Helper()
	s := b.Find(topic)
	if s == nil {
		s = b.Begin(topic)
	}
	seq, err := b.Give(s)
	if err != nil {
		t.Fatal(err)
	}
	b.Accepted(s)
	return seq
}

func TestNumbers(t *testing.T) {
	b := New(MinTopics, false)
	for i, topic := range []string{"a", "b", "a", "a"} {
		want := []uint64{1, 1, 2, 3}[i]
		if got := next(t, b, topic); got != want {
			t.Errorf("event %d has number %d, want %d", i, got, want)
		}
	}
	s := b.FindBytes([]byte("a"))
	b.TakeBack(s)
	if got := next(t, b, "a"); got != 3 || s.Topic() != "a" || s.Last() != 3 {
		t.Errorf("number %d after one was taken back, %+v", got, s)
	}
}

func TestS5Edges(t *testing.T) {
	b := New(MinTopics, false)
	s := b.Begin("a")
	for _, last := range []uint64{1<<32 - 2, 1<<32 - 1, 1 << 32, math.MaxUint64 - 2, math.MaxUint64 - 1} {
		s.last = last
		if got, err := b.Give(s); got != last+1 || err != nil {
			t.Errorf("after %d: %d, %v", last, got, err)
		}
	}
	for range 2 {
		if got, err := b.Give(s); !errors.Is(err, ErrExhausted) {
			t.Errorf("after the last number: %d, %v", got, err)
		}
	}
	b.TakeBack(s)
	if got, err := b.Give(s); got != math.MaxUint64 || err != nil {
		t.Errorf("taken back: %d, %v", got, err)
	}
}

// What was quiet for longest is forgotten, and begins above all that was.
func TestS6Quota(t *testing.T) {
	b := New(MinTopics, false)
	for range 10 {
		next(t, b, "quiet")
	}
	for i := range 5 * MinTopics {
		next(t, b, fmt.Sprint(i))
		if n := next(t, b, "busy"); n != uint64(i+1) {
			t.Fatalf("a topic in use has number %d, want %d", n, i+1)
		}
	}
	if n := b.Len(); n > MinTopics {
		t.Errorf("%d topics remembered", n)
	}
	if b.Find("quiet") != nil {
		t.Error("a topic that was quiet for long is remembered")
	}
	highest := uint64(10)
	for range 3 {
		seq := next(t, b, "quiet")
		if seq <= highest {
			t.Errorf("number %d, not above %d", seq, highest)
		}
		highest = seq
		for i := range 2 * MinTopics {
			next(t, b, fmt.Sprint("other", i))
		}
	}
}

// An exhausted floor doesn't begin at 1 again.
func TestS5QuotaAtTheEnd(t *testing.T) {
	b := New(MinTopics, false)
	s := b.Begin("a")
	s.last = math.MaxUint64 - 1
	if _, err := b.Give(s); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * MinTopics {
		if topic := fmt.Sprint(i); b.Find(topic) == nil {
			b.Begin(topic)
		}
	}
	if _, err := b.Give(b.Begin("b")); !errors.Is(err, ErrExhausted) {
		t.Errorf("error %v", err)
	}
}

// Topics without an end take bounded memory, beacons and all.
func TestS6MemoryOfTopics(t *testing.T) {
	const topics = 1 << 14
	b := New(topics, true)
	var before, after runtime.MemStats
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			next(t, b, fmt.Sprintf("topic-%024d", i))
			if i%topics == 0 { // 130 thousand a second
				b.Advance(1)
				for b.Beacon() != nil {
				}
			}
		}
		runtime.GC()
	}
	fill(0, 20*topics)
	runtime.ReadMemStats(&before)
	fill(20*topics, 60*topics)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d bytes more after three times as many topics", grown)
	}
}

func TestAllocs(t *testing.T) {
	b := New(MinTopics, true)
	next(t, b, "a")
	if n := testing.AllocsPerRun(100, func() {
		s := b.FindBytes([]byte("a"))
		b.Give(s)
		b.Accepted(s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGive(b *testing.B) {
	for _, beacons := range []bool{false, true} {
		b.Run(fmt.Sprintf("beacons=%v", beacons), func(b *testing.B) {
			book := New(MinTopics, beacons)
			book.Begin("a")
			for b.Loop() {
				s := book.Find("a")
				book.Give(s)
				book.Accepted(s)
			}
		})
	}
}
