package zmq

import (
	"testing"
	"time"
)

func TestInputs(t *testing.T) {
	const s = time.Second
	now := time.Unix(1e9, 0)
	every := func(pause, until time.Duration) (at []time.Duration) {
		for d := pause; d <= until; d += pause {
			at = append(at, d)
		}
		return at
	}
	for _, c := range []struct {
		name    string
		at      []time.Duration // after it began
		end     time.Duration
		heard   time.Duration
		silence time.Duration
	}{
		{"nothing", nil, time.Hour, 0, 2 * s},
		{"at once", []time.Duration{s / 1000}, s / 500, s / 1000, 2 * s},
		{"answers", every(3*s/2, 60*s), 61 * s, 60 * s, 2 * s},
		{"seldom", []time.Duration{time.Minute}, 2 * time.Minute, time.Minute, 2 * s},
		{"asks often", every(s/5, 60*s), 60*s + s/10, 60 * s, s / 2},
		{"asks very often", every(s/20, 60*s), 60*s + s/10, 60 * s, s / 2},
		{"speaks much", every(s/1000, 60*s), 60*s + s/10, 60 * s, 2 * s},
		{"dead, then a burst", append(every(s, 10*s), 20*s, 20*s+s/10, 21*s), 21*s + s/2, 10 * s, 2 * s},
		{"asks often, dead for a second, then a burst", append(every(s/5, 60*s), 61*s, 61*s+s/100), 61*s + s/2, 60 * s, 2 * s},
		{"silent, then back", []time.Duration{s, 11 * s, 12 * s, 13 * s}, 13*s + 1, 13 * s, 2 * s},
		{"silent, then back, then silent", []time.Duration{s, 11 * s}, 21 * s, 11 * s, 2 * s},
		{"silent twice", []time.Duration{s, 11 * s, 21 * s}, 21 * s, 11 * s, 2 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInputs(now, s)
			for _, d := range c.at {
				in.note(now.Add(d))
			}
			if got, want := in.there(now.Add(c.end), true).Sub(now), min(c.heard, c.end-confused); got != want {
				t.Errorf("with what was not delivered: there until %s, want %s", got, want)
			}
			if got := in.there(now.Add(c.end), false).Sub(now); got != c.heard+c.silence {
				t.Errorf("there until %s, want %s", got, c.heard+c.silence)
			}
		})
	}
}
