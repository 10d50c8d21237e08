package tracker

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// Verdict is what to do with an event.
type Verdict uint8

// The verdicts.
const (
	// Deliver: it is the next one.
	Deliver Verdict = iota
	// Duplicate: it was delivered, or covered, before. Drop it.
	Duplicate
	// Covered: a resync is due that makes it needless. Drop it.
	Covered
	// Missing: tell the handler to resync first, because of the reason, and
	// then deliver it.
	Missing
	// Wait: it overtook others. Hand a copy to Keep.
	Wait
)

// disputed is after how long the holders of a topic are told to resync on which
// an incarnation was heard that another one had replaced.
const disputed = time.Second

// Event judges an event of a topic. After Deliver and Missing, Ready may have
// more. An event without a number is always the next one.
func (tr *Tracker) Event(now time.Duration, t *Topic, p *Publisher, epoch, seq uint64) (Verdict, Reason) {
	s := tr.of(t, p)
	if seq == s.last+1 && epoch == s.epoch && epoch == p.epoch && s.due == nil && s.overdue == nil && !s.jump && seq != 0 && epoch != 0 {
		s.last = seq // nearly always
		return Deliver, NoReason
	}
	if epoch == 0 || seq == 0 {
		if s.covered() {
			return Covered, NoReason
		}
		return Deliver, NoReason
	}
	if p.forgotten || !tr.incarnation(now, p, epoch) {
		// Two incarnations at a time: two services with one identity, or a
		// very late event. Whose is the newer one can't be known.
		tr.resync(s, Incarnation, now+disputed, true)
		return Covered, NoReason
	}
	first := s.begin(epoch)
	_, waits := s.find(seq)
	switch {
	case seq <= s.before.last && epoch == s.before.epoch && !plant.On(plant.DuplicateDelivered):
		return Duplicate, NoReason
	case seq < s.base && !s.covered():
		// It was taken to be of before the subscription. But a driver that says
		// it again, because it found something to be missing, knows better.
		s.base = 0
		tr.resync(s, Gap, now, true)
		return Covered, NoReason
	case seq <= s.last || waits:
		if plant.On(plant.DuplicateDelivered) {
			return Deliver, NoReason
		}
		return Duplicate, NoReason
	case s.covered():
		tr.reach(s, seq)
		return Covered, NoReason
	case first && seq > 1 && tr.unsure() && !plant.On(plant.FirstBelieved):
		tr.reach(s, seq)
		return Missing, Subscribed
	case first || s.jump || seq == s.last+1 || seq == s.last+2 && plant.On(plant.GapsAboveTwo):
		// What waits is looked at by Ready.
		if first || s.jump {
			s.base = seq
		}
		s.last, s.jump = seq, false
		return Deliver, NoReason
	case len(s.held) < tr.opts.Window:
		return Wait, NoReason
	}
	tr.reach(s, seq)
	return Missing, Gap
}

// unsure says that the first number seen of a topic proves nothing about those
// before it: they were dropped, or overtaken.
func (tr *Tracker) unsure() bool { return tr.opts.Lossy || tr.opts.Window > 0 }

// Beacon notes that a publisher's last number on a topic is tail. It says
// whether the handler is to be told to resync first, as Event does.
func (tr *Tracker) Beacon(now time.Duration, t *Topic, p *Publisher, epoch, tail uint64) (Verdict, Reason) {
	if epoch == 0 || p.forgotten || !tr.incarnation(now, p, epoch) {
		return Duplicate, NoReason
	}
	s := tr.of(t, p)
	first := s.begin(epoch)
	switch {
	case tail <= s.last:
		return Duplicate, NoReason
	case s.covered():
		tr.reach(s, tail)
		return Covered, NoReason
	case plant.On(plant.BeaconOvertakes):
		tr.reach(s, tail)
		return Duplicate, NoReason
	case s.jump || first && !tr.unsure():
		// It speaks of what was before the subscription, or was told.
		s.base = tail
		tr.reach(s, tail)
		return Duplicate, NoReason
	case tr.opts.Window > 0:
		// What it speaks of may still be on its way.
		if s.tail == 0 {
			s.tailAt = now
		}
		s.tail = max(s.tail, tail)
		tr.wait(s)
		return Wait, NoReason
	}
	tr.reach(s, tail)
	if first {
		return Missing, Subscribed
	}
	return Missing, Gap
}
