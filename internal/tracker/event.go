package tracker

import "time"

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

// Event judges an event of a topic. After Deliver, Ready may have more. An
// event without a number is always the next one.
func (tr *Tracker) Event(now time.Duration, t *Topic, p *Publisher, epoch, seq uint64) (Verdict, Reason) {
	s := t.of(p)
	if epoch == p.epoch && epoch == s.epoch && seq == s.last+1 && s.due == nil && s.held == nil && seq != 0 {
		s.last = seq // nearly always
		return Deliver, NoReason
	}
	if epoch == 0 || seq == 0 {
		if s.covered() {
			return Covered, NoReason
		}
		return Deliver, NoReason
	}
	if !tr.incarnation(now, p, epoch) {
		// Two incarnations at a time: two services with one identity, or a
		// very late event. Whose is the newer one can't be known.
		tr.resync(s, Incarnation, now+time.Second, true)
		return Covered, NoReason
	}
	first := s.begin(epoch)
	switch {
	case !first && seq <= s.last:
		return Duplicate, NoReason
	case s.covered():
		s.last = seq
		s.held = nil // they are covered too
		return Covered, NoReason
	case first && tr.opts.Lossy && seq > 1:
		s.last = seq
		return Missing, Subscribed
	case first || seq == s.last+1:
		s.last = seq
		return Deliver, NoReason
	case len(s.held) < tr.opts.Window:
		return Wait, NoReason
	}
	if s.held != nil {
		// The window is full: what is missing is given up, and what waited is
		// not worth an order of its own.
		s.skip(seq)
	}
	s.last = seq
	return Missing, Gap
}

// begin makes the series one of an epoch, and says whether nothing was seen of
// it so far.
func (s *series) begin(epoch uint64) (first bool) {
	if s.epoch != epoch {
		s.epoch, s.last, s.held = epoch, 0, nil
	}
	return s.last == 0
}

// skip drops what waits up to a number.
func (s *series) skip(seq uint64) {
	i := 0
	for i < len(s.held) && s.held[i].seq <= seq {
		i++
	}
	if s.held = s.held[i:]; len(s.held) == 0 {
		s.held, s.overdue = nil, nil
	}
}

// Beacon notes that a publisher's last number on a topic is tail. It says
// whether the handler is to be told to resync first, as Event does.
func (tr *Tracker) Beacon(now time.Duration, t *Topic, p *Publisher, epoch, tail uint64) (Verdict, Reason) {
	if epoch == 0 {
		return Duplicate, NoReason
	}
	s := t.of(p)
	if !tr.incarnation(now, p, epoch) {
		return Duplicate, NoReason
	}
	first := s.begin(epoch)
	switch {
	case tail <= s.last:
		return Duplicate, NoReason
	case s.covered():
		s.last = tail
		return Covered, NoReason
	case tr.opts.Window > 0:
		// What it speaks of may still be on its way.
		tr.wait(now, s)
		s.held = insert(s.held, item{seq: tail})
		return Wait, NoReason
	}
	s.last = tail
	s.skip(tail)
	if first {
		return Missing, Subscribed
	}
	return Missing, Gap
}
