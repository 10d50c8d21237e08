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
			tr.incarnation(now, p, epoch)
		}
	}
	if t != nil {
		tr.notice(now, tr.of(t, p), why)
		return
	}
	for t := range tr.opts.Held {
		tr.notice(now, tr.of(t, p), why)
	}
}

func (tr *Tracker) notice(now time.Duration, s *series, why Reason) {
	tr.resync(s, why, tr.soon(now), why != Subscribed)
	// Where nothing is lost without a notice, this one is about whatever is
	// missing between the last number and the next: once is enough.
	if (why == Behind || why == Gap) && !tr.unsure() {
		s.jump = s.last != 0
	}
}
