package zmq

import (
	"testing"
	"time"
)

func TestInputs(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	for _, c := range []struct {
		name  string
		every time.Duration // after it began
		last  time.Duration
		more  []time.Duration
		end   time.Duration
		least time.Duration // how much before lastWords it was heard
		most  time.Duration
	}{
		{"nothing", 1, 0, nil, time.Hour, time.Hour - lastWords, time.Hour - lastWords},
		{"answers", 200 * time.Millisecond, time.Minute, nil, time.Minute, 0, lastWords},
		{"dense", time.Millisecond, time.Minute, nil, time.Minute, 0, lastWords},
		{"seldom", time.Minute, time.Hour, nil, time.Hour + 10*time.Second, 8 * time.Second, 8 * time.Second},
		{"dead, then a burst", time.Second, time.Minute, []time.Duration{70 * time.Second, 70100 * time.Millisecond, 71200 * time.Millisecond}, 71300 * time.Millisecond, 9 * time.Second, 11 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := inputs{now}
			for d := c.every; d <= c.last; d += c.every {
				in.note(at(d))
			}
			for _, d := range c.more {
				in.note(at(d))
			}
			if got := at(c.end - lastWords).Sub(in.before(at(c.end - lastWords))); got < c.least || got > c.most {
				t.Errorf("heard %s before, want %s to %s", got, c.least, c.most)
			}
		})
	}
	// One that ends at once was heard when it came.
	in := inputs{now}
	in.note(at(time.Millisecond))
	if got := in.before(at(time.Second - lastWords)); got != now {
		t.Errorf("heard at %s, want when it began", got)
	}
}
