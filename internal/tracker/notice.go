package tracker

import "time"

// Notice makes a resync due because of what the driver knows. t is nil when it
// is about every topic held. Only one that says that a subscription came into
// force late leaves events deliverable meanwhile: they are the first of theirs.
//
// epoch is the publisher's incarnation where the driver knows it, else 0.
func (tr *Tracker) Notice(now time.Duration, t *Topic, p *Publisher, epoch uint64, why Reason) {
	if epoch != 0 {
		if why == Incarnation && p.epoch == epoch {
			return // seen before, by another way: all topics were due then
		}
		if p.epoch != 0 && p.epoch != epoch && tr.incarnation(now, p, epoch) {
			return // all topics are due already
		}
		if p.epoch == 0 {
			p.epoch = epoch
		}
	}
	switch {
	case t != nil:
		tr.resync(t.of(p), why, tr.soon(now), why != Subscribed)
	case why == Subscribed:
		for t := range tr.opts.Held {
			tr.resync(t.of(p), why, tr.soon(now), false)
		}
	default:
		tr.resyncAll(now, p, why)
	}
}

// Fault makes a resync of one topic due at once, because an event of it was
// lost on this side.
func (tr *Tracker) Fault(now time.Duration, t *Topic, p *Publisher, why Reason) {
	tr.resync(t.of(p), why, now, true)
}
