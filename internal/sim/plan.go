package sim

import "math/rand/v2"

// Bounds of a run.
const (
	maxPubs   = 3
	maxSubs   = 3
	maxTopics = 16
)

// plan is what a run consists of. Everything in it follows from the seed.
type plan struct {
	pubs, subs, topics int
	lossy              bool // without connections: loss, beacons, beats
	window             bool // lossy: the driver doesn't keep the order
	nameless           bool // lossy: the driver doesn't say who sends
	quota              int  // of topics; 0: more than there are
	rounds             int  // a storm and a calm each
	calm               bool // no storm at all
	retention          int  // ordered: events
	markEvery          int  // ordered: messages
}

// weather is what befalls messages and calls: parts of 65536.
type weather struct {
	loss, double, swap, delay uint32
	fail                      uint32 // handler
	aside                     uint32 // unsubscribes in a handler
	frame                     uint32 // loss on a live connection
	strike                    int64  // milliseconds between greater faults; 0: none
	churn                     int64  // between changes of subscriptions; 0: none
	publish                   int64  // between events of a publisher
}

func newPlan(r *rand.Rand) plan {
	p := plan{
		pubs: 1 + r.IntN(maxPubs), subs: 1 + r.IntN(maxSubs), topics: 2 + r.IntN(maxTopics-1),
		lossy: r.IntN(5) < 3, rounds: 2,
		calm:      r.IntN(16) == 0,
		retention: 30 << r.IntN(6),
		markEvery: 4 << r.IntN(4),
	}
	if p.lossy {
		p.window = r.IntN(3) > 0
		p.nameless = r.IntN(3) == 0
		if r.IntN(4) == 0 {
			p.quota = 2 + r.IntN(p.topics)
		}
	}
	if p.calm {
		p.rounds = 1
	}
	return p
}

var fairWeather = weather{churn: 2000, publish: 60}

func newStorm(r *rand.Rand) weather {
	odds := func(list ...uint32) uint32 { return list[r.IntN(len(list))] }
	return weather{
		loss: odds(0, 600, 6000, 20000), double: odds(0, 2000, 12000), swap: odds(0, 2000, 16000), delay: odds(0, 500, 4000),
		fail: odds(0, 0, 300, 3000), aside: odds(0, 0, 100), frame: odds(0, 5, 50, 200),
		strike:  int64(odds(10, 50, 200, 1000)),
		churn:   int64(odds(0, 4, 20, 100, 1000)),
		publish: int64(odds(1, 2, 4, 15)),
	}
}
