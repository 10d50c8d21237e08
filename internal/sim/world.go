package sim

import (
	"fmt"
	"math/rand/v2"
)

// world is one run.
type world struct {
	plan    plan
	weather weather
	storm   bool
	cal     calendar
	src     *rand.PCG
	rand    *rand.Rand
	pubs    [maxPubs]*publisher
	subs    [maxSubs]*subscriber
	links   [maxPubs][maxSubs]*link // by address
	route   [maxPubs]int            // who answers at an address
	check   checker
	stats   *Stats

	// Of lossy drivers.
	filter   [maxPubs][maxSubs]uint32 // topics that reach a subscriber
	filterOp [maxPubs][maxSubs][maxTopics]uint32
	apart    [maxPubs][maxSubs]int64 // until when nothing gets through
	snipe    [maxSubs]int64          // until when no other event may be hit

	violation *Violation
	trace     func(s, t, p int, format string, args ...any) // nil: none
}

func newWorld(stats *Stats) *world {
	w := &world{stats: stats, src: rand.NewPCG(0, 0)}
	w.rand = rand.New(w.src)
	for p := range w.pubs {
		w.pubs[p] = &publisher{w: w, i: p}
	}
	for s := range w.subs {
		w.subs[s] = &subscriber{w: w, i: s}
	}
	for a := range w.links {
		for s := range w.links[a] {
			w.links[a][s] = &link{w: w, addr: a, sub: w.subs[s]}
		}
	}
	return w
}

// roll says yes in so many of 65536 cases.
func (w *world) roll(odds uint32) bool { return odds != 0 && uint32(w.src.Uint64()>>48) < odds }

// upTo returns a number from 1.
func (w *world) upTo(n int64) int64 { return 1 + w.rand.Int64N(n) }

func (w *world) log(s, t, p int, format string, args ...any) {
	if w.trace != nil {
		w.trace(s, t, p, "%8.3f s: %s", float64(w.cal.now)/1000, fmt.Sprintf(format, args...))
	}
}

// run plays the run of a seed.
func (w *world) run(seed uint64) {
	w.src.Seed(seed, 1)
	w.plan = newPlan(w.rand)
	w.violation, w.storm = nil, false
	w.weather = fairWeather
	w.cal.reset()
	w.check.reset(w)
	w.filter = [maxPubs][maxSubs]uint32{}
	w.filterOp = [maxPubs][maxSubs][maxTopics]uint32{}
	w.apart = [maxPubs][maxSubs]int64{}
	w.snipe = [maxSubs]int64{}
	w.stats.Runs++
	for p := range w.plan.pubs {
		w.route[p] = p
		w.pubs[p].reset()
	}
	for s := range w.plan.subs {
		for a := range w.plan.pubs {
			w.links[a][s].reset()
		}
		w.subs[s].reset()
	}
	w.cal.at(1, item{kind: kindFault})
	if w.plan.calm {
		w.check.settled, w.check.fresh = 0, 0
		if w.plan.quota == 0 {
			w.check.quiet = 0
		}
		w.check.bound = w.settle() - w.cal.now
		w.play(100_000)
		w.check.overdue()
		return
	}
	for range w.plan.rounds {
		w.blow()
		w.play(3000 + w.upTo(7000))
		w.calm()
	}
}

// settle is when everything has come or was told that was published by now: of
// a lossy driver the next beacon may be a minute away; and a handler that
// fails may be left alone for half of one.
func (w *world) settle() int64 {
	return w.cal.now + 66_000
}

// right makes an address lead to where it should, and ends connections to
// elsewhere.
func (w *world) right(addr int) {
	w.route[addr] = addr
	for s := range w.plan.subs {
		if l := w.links[addr][s]; l.session.open && l.session.pub.i != addr {
			l.broken(false)
		}
	}
}

func (w *world) play(ms int64) {
	for end := w.cal.now + ms; w.cal.now < end && w.violation == nil; {
		w.cal.today(w.happen)
	}
}

// blow begins a storm.
func (w *world) blow() {
	w.storm, w.weather = true, newStorm(w.rand)
	w.check.settled, w.check.quiet, w.check.fresh = 1<<62, 1<<62, 1<<62
	for s := range w.plan.subs {
		w.subs[s].restless(w.weather.churn)
	}
}

// calm ends a storm and all of its faults, and waits for everything to be told.
func (w *world) calm() {
	w.storm, w.weather = false, fairWeather
	w.heal()
	for s := range w.plan.subs {
		w.subs[s].restless(w.weather.churn)
	}
	w.check.fresh = w.cal.now + 25_000
	w.check.settled = w.settle()
	if w.plan.quota == 0 { // otherwise topics are forgotten, and gaps made, all the time
		w.check.quiet = w.check.settled
	}
	w.check.bound = 3_000
	w.play(12_000)
	switch s, p := w.rand.IntN(w.plan.subs), w.plan.pubs-1; w.rand.IntN(4) {
	case 0:
		if w.plan.pubs > 1 { // one of several goes for good
			w.pubs[p].die()
			w.stats.strike(faultKill)
			w.check.bound = 8_000
		}
	case 1:
		if w.plan.lossy { // one is not heard for longer than its frequent beacons
			w.play(14_000)
			w.apart[p][s] = w.cal.now + 10_000
			w.weather.publish = 2000 // so that hardly any next event tells
			w.check.bound = 13_500
			w.log(s, -1, p, "publisher %d is not heard by subscriber %d for 10 s", p, s)
		}
	}
	w.play(w.check.settled - w.cal.now)
	w.check.overdue()
	w.play(w.check.bound + w.upTo(8_000))
	w.check.overdue()
}

// happen does what is planned.
func (w *world) happen(it *item) {
	if w.violation != nil {
		return
	}
	switch it.kind {
	case kindEvent, kindBeacon, kindBeat:
		if w.plan.lossy {
			w.subs[it.sub].arrive(it)
		} else {
			w.links[it.link][it.sub].down(it)
		}
	case kindFilter:
		w.filtered(it)
	case kindPublish:
		w.pubs[it.pub].chance(it)
	case kindTick:
		w.pubs[it.pub].tick(it)
	case kindWakePub:
		w.pubs[it.pub].wake(it)
	case kindRise:
		w.pubs[it.pub].rise(it)
	case kindPoll:
		w.subs[it.sub].poll(it)
	case kindChurn:
		w.subs[it.sub].churn(it)
	case kindWakeSub:
		w.subs[it.sub].wake(it)
	case kindFault:
		w.faults(it)
	case kindHeal:
		w.right(int(it.pub))
	case kindAccept, kindResume, kindSubscribe, kindUnsubscribe, kindPing:
		w.links[it.link][it.sub].up(it)
	case kindDial, kindLate, kindHeartbeat, kindFlush:
		w.links[it.link][it.sub].own(it)
	default:
		w.links[it.link][it.sub].down(it)
	}
}
