package main

import (
	"fmt"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// isolation: a paced publisher, subscribers that behave, of whom all figures
// are, and others that don't. The rivals are the ways in which they don't. Each is
// judged against the run in which there are none of them, and its latency against
// one in which as many misbehave in the same way towards another publisher of the
// machine: what they take from the machine they take in both.
func isolation(o *options) scenario {
	healthy := rival{Name: "healthy", Kind: kindOurs}
	return scenario{
		name:  "isolation",
		sizes: []size{{Subs: o.isolation.subs, Gap: o.isolation.gap}},
		rivals: []rival{
			healthy,
			{Name: "1% stopped", Kind: kindOurs, Crowd: crowdStopped, Percent: 1},
			{Name: "20% stopped elsewhere", Kind: kindOurs, Crowd: crowdStopped, Percent: 20, Elsewhere: true},
			{Name: "20% stopped", Kind: kindOurs, Crowd: crowdStopped, Percent: 20},
			{Name: "20% slow elsewhere", Kind: kindOurs, Crowd: crowdSlow, Percent: 20, Elsewhere: true},
			{Name: "20% slow", Kind: kindOurs, Crowd: crowdSlow, Percent: 20},
			{Name: "20% hostile elsewhere", Kind: kindOurs, Crowd: crowdHostile, Percent: 20, Elsewhere: true},
			{Name: "20% hostile", Kind: kindOurs, Crowd: crowdHostile, Percent: 20},
		},
		billed:   "publisher",
		baseline: healthy,
		targets: []target{
			{"lost by the others", harm, none, 0},
			{"p99 of the others", p99, atMostTwin, 1.2},
			{"the same", p99, compares, 0},
			{"publisher's peak RSS", rss, exceeds, isolationRetention + isolationExtra},
		},
		lasts: o.isolation.duration,
		run:   runIsolation,
	}
}

const (
	// isolationRetention is the least that a publisher of events up to 1 MiB
	// takes, so that who is stopped falls out of it within the run.
	isolationRetention = 8 << 20
	// isolationExtra is what else those who misbehave may make a publisher
	// keep: some 100 KiB for each.
	isolationExtra = 8 << 20
	// maxBulk is the largest event that a publisher completes for one that fell
	// out of retention inside it. Inside a larger one it ends the connection
	// instead, and doesn't count that as lost.
	maxBulk = 60 << 10
)

// bulkSize is the size of one large event.
func (i *isolationOptions) bulkSize() int {
	return int(int64(i.bulk) * int64(i.gap) / int64(time.Second))
}

func runIsolation(t *trial, size size, rival rival) (figures, error) {
	publish := job{
		Role: "publisher", Kind: rival.Kind,
		Gap:       size.Gap,
		Bulk:      t.opts.isolation.bulkSize(),
		Retention: isolationRetention,
	}
	publisher, err := t.start(publish)
	if err != nil {
		return figures{}, err
	}
	target := publisher // of those who misbehave
	if rival.Elsewhere {
		if target, err = t.start(publish); err != nil {
			return figures{}, err
		}
		t.aside = append(t.aside, target)
	}
	var crowd *process
	others := crowdSize(size.Subs, rival.Percent)
	if others > 0 {
		crowd, err = t.start(job{
			Role: "crowd", Kind: rival.Crowd,
			Address:     target.address,
			Subscribers: others,
		})
		if err != nil {
			return figures{}, err
		}
	}
	reader, err := t.start(job{
		Role:        "reader",
		Address:     publisher.address,
		Subscribers: size.Subs,
		Workers:     1,
		Gap:         size.Gap,
		Receives:    true,
	})
	if err != nil {
		return figures{}, err
	}
	if !rival.Elsewhere {
		t.effect = func(s snapshot) error { return misbehaved(s.Status, rival.Crowd, others) }
	}
	f, err := t.measure([]*process{publisher}, reader, publisher)
	if err != nil {
		return f, err
	}
	if crowd != nil {
		err = crowd.complaint()
	}
	if err != nil || crowd != nil && !rival.Elsewhere {
		return f, err
	}
	if st := f.Status; st.Lost+st.Refused+st.Malformed > 0 {
		return f, fmt.Errorf("nobody misbehaved: %d fell behind, %d connections refused, %d messages malformed", st.Lost, st.Refused, st.Malformed)
	}
	return f, nil
}

// crowdSize is how many subscribers misbehave, so that they are this part of all
// while the number of the others is fixed.
func crowdSize(healthy, percent int) int {
	if percent == 0 {
		return 0
	}
	return max(1, (healthy*percent+(100-percent)/2)/(100-percent))
}

// misbehaved says whether those who misbehave did so with effect, by the
// publisher's own count: without it the figures show nothing.
func misbehaved(st *driver.Status, crowd string, others int) error {
	behind := others
	if crowd == crowdHostile {
		behind = doers(others, churn)
		if st.Refused == 0 || st.Malformed == 0 {
			return fmt.Errorf("%d connections refused and %d messages malformed, want some of both", st.Refused, st.Malformed)
		}
	}
	if st.Lost < uint64(behind) {
		return fmt.Errorf("%d fell behind after %d bytes, want all %d that don't read", st.Lost, st.Bytes, behind)
	}
	return nil
}
