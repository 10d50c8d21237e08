package backoff

import (
	"math"
	"testing"
	"time"
)

func series(b *Backoff, n int) []time.Duration {
	var list []time.Duration
	for range n {
		list = append(list, b.Next())
	}
	return list
}

func check(t *testing.T, got, want []time.Duration) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestNext(t *testing.T) {
	lowest := func() float64 { return 0 }
	middle := func() float64 { return 0.5 }
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		b    Backoff
		want []time.Duration
	}{
		{"doubles up to Max", Backoff{Min: 100 * ms, Max: 500 * ms, Rand: lowest},
			[]time.Duration{50 * ms, 100 * ms, 200 * ms, 250 * ms, 250 * ms}},
		{"adds the random part", Backoff{Min: 100 * ms, Max: 200 * ms, Rand: middle},
			[]time.Duration{75 * ms, 150 * ms, 150 * ms}},
		{"has defaults", Backoff{Rand: lowest},
			[]time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}},
		{"takes Min for a Max below it", Backoff{Min: 100 * ms, Max: ms, Rand: lowest},
			[]time.Duration{50 * ms, 50 * ms}},
		{"doesn't overflow", Backoff{Min: math.MaxInt64 / 2, Max: math.MaxInt64, Rand: lowest},
			[]time.Duration{math.MaxInt64/2 - math.MaxInt64/4, math.MaxInt64 / 2, math.MaxInt64 - math.MaxInt64/2}},
		{"works for a nanosecond", Backoff{Min: 1, Max: 1, Rand: lowest},
			[]time.Duration{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, series(&c.b, len(c.want)), c.want) })
	}
}

func TestReset(t *testing.T) {
	b := Backoff{Min: 100, Max: 1000, Rand: func() float64 { return 0 }}
	series(&b, 4)
	b.Reset()
	check(t, series(&b, 2), []time.Duration{50, 100})
}

// Without an injected source delays differ, and stay within the bounds.
func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		b := Backoff{Min: time.Second, Max: time.Minute}
		d := b.Next()
		if d < time.Second/2 || d >= time.Second {
			t.Fatalf("first delay %v, want from 0.5 s to 1 s", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Fatalf("%d different delays of 100", len(seen))
	}
}
