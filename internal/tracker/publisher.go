package tracker

import (
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

const (
	// maxPublishers bounds the publishers that are known by incarnation only.
	maxPublishers = 1024
	// maxPast is how many earlier incarnations of a publisher are recognised.
	maxPast = 16
	// settled is how long after its end an incarnation may still be heard,
	// from events that were late. One that is heard later still lives.
	settled = 5 * time.Second
)

// Publisher is one stable identity and what is known of its incarnations.
type Publisher struct {
	ID        string // "": unknown
	epoch     uint64 // the latest; 0: none yet
	past      []past // those before, oldest first
	forgotten bool   // another one took its place
	heart     heart
}

// past is an incarnation that was replaced.
type past struct {
	epoch uint64
	at    time.Duration
}

// Publisher returns the publisher of an identity, or, where the driver doesn't
// know that, of an epoch.
func (tr *Tracker) Publisher(id string, epoch uint64) *Publisher {
	if id == "" && epoch != 0 {
		return tr.ofEpoch(epoch)
	}
	p := tr.publishers[id]
	if p == nil {
		p = &Publisher{ID: id}
		tr.publishers[id] = p
	}
	return p
}

func (tr *Tracker) ofEpoch(epoch uint64) *Publisher {
	p := tr.nameless[epoch]
	if p == nil {
		if len(tr.nameless) >= maxPublishers {
			// Somebody makes them up. Their numbers are forgotten, so that a
			// first one proves nothing from here on.
			for _, p := range tr.nameless {
				tr.forget(p)
			}
			clear(tr.nameless)
			clear(tr.named)
			tr.Forgot()
		}
		p = &Publisher{}
		tr.nameless[epoch] = p
	}
	return p
}

// forget notes that nothing will come from a publisher any more. What is due
// stays so.
func (tr *Tracker) forget(p *Publisher) {
	p.forgotten, p.heart = true, heart{}
	if i := slices.Index(tr.hearts, p); i >= 0 {
		tr.hearts = slices.Delete(tr.hearts, i, i+1)
	}
}

// incarnation notes the epoch of what was received. current says that it is
// the latest incarnation; where it is a new one, every topic held is to be
// resynced, because what the last one accepted at its end was perhaps never
// sent.
func (tr *Tracker) incarnation(now time.Duration, p *Publisher, epoch uint64) (current bool) {
	if epoch == p.epoch {
		return true
	}
	if p.epoch == 0 {
		p.epoch = epoch
		tr.listen(now, p)
		if tr.opts.Lossy && !plant.On(plant.FirstBelieved) {
			// It may have lived before, and a whole incarnation been missed.
			// However many are made up, each topic is told once at a time.
			who := p
			if p.ID == "" {
				who = tr.Publisher("", 0)
			}
			for t := range tr.opts.Held {
				tr.resync(tr.of(t, who), Subscribed, tr.soon(now), false)
			}
		}
		return true
	}
	if i := slices.IndexFunc(p.past, func(o past) bool { return o.epoch == epoch }); i >= 0 {
		if now-p.past[i].at < settled {
			return false
		}
		p.past = slices.Delete(p.past, i, i+1)
	}
	if len(p.past) == maxPast {
		p.past = slices.Delete(p.past, 0, 1)
	}
	p.past = append(p.past, past{p.epoch, now})
	p.epoch = epoch
	tr.listen(now, p)
	if !plant.On(plant.EpochIsIdentity) {
		tr.resyncAll(now, p, Incarnation)
	}
	return true
}

// resyncAll makes a resync due for every topic held, spread.
func (tr *Tracker) resyncAll(now time.Duration, p *Publisher, why Reason) {
	for t := range tr.opts.Held {
		tr.resync(tr.of(t, p), why, tr.soon(now), true)
	}
}
