package tracker

import (
	"slices"
	"time"
)

// maxPast is how many earlier incarnations of a publisher are recognised.
const maxPast = 16

// Publisher is one stable identity and what is known of its incarnations.
type Publisher struct {
	ID    string
	epoch uint64   // the latest; 0: none yet
	past  []uint64 // those before, oldest first
}

// incarnation notes the epoch of what was received. current says that it is
// the latest incarnation; where it is a new one, every topic held is to be
// resynced, because what the last one accepted at its end was perhaps never
// sent.
func (tr *Tracker) incarnation(now time.Duration, p *Publisher, epoch uint64) (current bool) {
	switch {
	case epoch == p.epoch:
		return true
	case p.epoch == 0:
		p.epoch = epoch
		return true
	case slices.Contains(p.past, epoch):
		return false
	}
	if len(p.past) == maxPast {
		p.past = slices.Delete(p.past, 0, 1)
	}
	p.past = append(p.past, p.epoch)
	p.epoch = epoch
	tr.resyncAll(now, p, Incarnation)
	return true
}

// resyncAll makes a resync due for every topic held, spread.
func (tr *Tracker) resyncAll(now time.Duration, p *Publisher, why Reason) {
	for t := range tr.opts.Held {
		tr.resync(t.of(p), why, tr.soon(now), true)
	}
}
