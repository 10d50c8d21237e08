package sim

// faults makes something greater fail, in a storm, and plans the next time.
func (w *world) faults(it *item) {
	w.cal.at(w.upTo(2*max(w.weather.strike, 100)), *it)
	if !w.storm {
		w.check.overdue()
		return
	}
	p, s := w.rand.IntN(w.plan.pubs), w.rand.IntN(w.plan.subs)
	pub, sub := w.pubs[p], w.subs[s]
	kind := fault(faults)
	long := w.upTo(1 << w.upTo(12))
	what := w.rand.IntN(8)
	if !w.plan.lossy && w.roll(1<<15) {
		what = 6
	}
	switch what {
	case 0:
		if pub.alive {
			kind = faultRestart
			pub.die()
			pub.rise(nil)
		}
	case 1:
		if pub.alive && w.roll(1<<14) {
			kind = faultKill
			pub.die()
			w.cal.at(2*long, item{kind: kindRise, pub: uint8(p)})
		}
	case 2:
		if pub.alive && !pub.doze {
			kind = faultSleepPub
			pub.sleep(long)
		}
	case 3:
		if !sub.doze {
			kind = faultSleepSub
			sub.sleep(2 * long)
		}
	case 4:
		kind = faultClock
		sub.wall += w.rand.Int64N(7_200_000) - 3_600_000
	case 5:
		sub.sick = w.cal.now + 5*long // may outlast the storm
	case 6, 7:
		if w.plan.lossy {
			w.apart[p][s] = w.cal.now + long // counts when it swallows something
			break
		}
		kind = w.links[p][s].fault(long)
	}
	if kind != faults {
		w.stats.strike(kind)
		w.log(s, -1, p, "%s: publisher %d, subscriber %d, %d ms", faultNames[kind], p, s, long)
	}
}

// heal ends all faults.
func (w *world) heal() {
	for p := range w.plan.pubs {
		w.right(p)
		pub := w.pubs[p]
		if pub.doze {
			pub.wake(&item{conn: pub.life})
		}
		pub.rise(nil)
		for s := range w.plan.subs {
			w.apart[p][s] = 0
			w.links[p][s].swallow = 0
			w.links[p][s].session.slow = 0
		}
	}
	for s := range w.plan.subs {
		if w.subs[s].doze {
			w.subs[s].wake(&item{conn: w.subs[s].naps})
		}
	}
	w.log(-1, -1, -1, "all is well")
}
