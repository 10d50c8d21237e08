package numbering

import (
	"fmt"
	"slices"
	"testing"
)

// beacons advances tick by tick, and returns at which of them a topic was
// beaconed.
func beacons(b *Book, ticks int) map[string][]int {
	got := make(map[string][]int)
	for i := range ticks {
		b.Advance(1)
		for s := b.Beacon(); s != nil; s = b.Beacon() {
			got[s.topic] = append(got[s.topic], i+1)
		}
	}
	return got
}

func TestBeacons(t *testing.T) {
	b := New(MinTopics, true)
	next(t, b, "a")
	got := beacons(b, 2000)["a"]
	want := []int{4, 8, 16, 32, 64, 128, 256}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Fatalf("beacons at ticks %v, want %v and then once a minute", got, want)
	}
	for i := len(want); i < len(got); i++ {
		if gap := got[i] - got[i-1]; gap <= lastBeacon-jitter || gap > lastBeacon {
			t.Errorf("beacons at ticks %v, want one a minute in the end", got)
		}
	}
	if last := got[len(got)-1]; last < 2000-lastBeacon {
		t.Errorf("the last beacon was at tick %d", last)
	}
	// Quiet again.
	next(t, b, "a")
	if got := beacons(b, 20)["a"]; !slices.Equal(got, []int{4, 8, 16}) {
		t.Errorf("beacons at ticks %v after another event", got)
	}
}

// A busy topic needs none, and keeps no other from having its own.
func TestBusyTopic(t *testing.T) {
	b := New(MinTopics, true)
	next(t, b, "quiet")
	var quiet []int
	for i := range 20 {
		next(t, b, "busy")
		for topic := range beacons(b, 1) {
			if topic != "quiet" {
				t.Errorf("%s was beaconed", topic)
			}
			quiet = append(quiet, i+1)
		}
	}
	if !slices.Equal(quiet, []int{4, 8, 16}) {
		t.Errorf("beacons at ticks %v", quiet)
	}
}

// A number that nobody accepted is not beaconed.
func TestNotAccepted(t *testing.T) {
	b := New(MinTopics, true)
	s := b.Begin("a")
	b.Give(s)
	b.TakeBack(s)
	if got := beacons(b, 100); len(got) != 0 {
		t.Errorf("beacons %v", got)
	}
}

func TestRetry(t *testing.T) {
	b := New(MinTopics, true)
	next(t, b, "a")
	b.Advance(4)
	b.Retry(b.Beacon())
	if got := beacons(b, 20)["a"]; !slices.Equal(got, []int{1, 4, 12}) {
		t.Errorf("beacons at ticks %v", got)
	}
}

// Topics that fell quiet together are not beaconed together for ever.
func TestJitter(t *testing.T) {
	b := New(MinTopics, true)
	const topics = 1000
	for i := range topics {
		next(t, b, fmt.Sprint(i))
	}
	beacons(b, 800)
	at := make(map[int]int)
	for _, ticks := range beacons(b, 600) {
		for _, tick := range ticks {
			at[tick]++
		}
	}
	for tick, n := range at {
		if n > topics/10 {
			t.Errorf("%d of %d beacons at tick %d", n, topics, tick)
		}
	}
}

// A topic that is forgotten gets one last beacon.
func TestForgottenTopic(t *testing.T) {
	b := New(MinTopics, true)
	next(t, b, "a")
	for i := range 2 * MinTopics {
		next(t, b, fmt.Sprint(i))
	}
	got := beacons(b, 2000)
	if len(got["a"]) != 1 || len(got) != 2*MinTopics+1 {
		t.Errorf("beacons of a topic that was forgotten at ticks %v, of %d topics in all", got["a"], len(got))
	}
	b.Advance(1)
	var again int
	for _, head := range b.wheel.slots {
		for s := head; s != nil; s = s.next {
			again++
		}
	}
	if again > MinTopics {
		t.Errorf("%d topics still have beacons", again)
	}
}

// Whoever doesn't collect beacons, or sleeps for long, gets them late.
func TestNobodyCollects(t *testing.T) {
	b := New(MinTopics, true)
	for i := range 100 {
		next(t, b, fmt.Sprint(i))
	}
	beacons(b, 700)
	for range 1000 {
		b.Advance(1000)
		next(t, b, "busy")
	}
	n := 0
	for b.Beacon() != nil {
		if n++; n > 1000 {
			t.Fatal("beacons without an end")
		}
	}
	if got := len(beacons(b, 600)); got != 101 {
		t.Errorf("beacons of %d topics, want 101", got)
	}
}

// What a round costs with many topics: of 100,000 quiet ones 1,700 a second
// are beaconed, 210 a tick.
func BenchmarkBeacons(b *testing.B) {
	book := New(1<<18, true)
	for i := range 100_000 {
		next(b, book, fmt.Sprint(i))
	}
	beacons(book, 1000)
	n := 0
	for b.Loop() {
		book.Advance(1)
		for book.Beacon() != nil {
			n++
		}
	}
	b.ReportMetric(float64(n)/float64(b.N), "beacons/op")
}
