package tracker

import (
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// BeatInterval is how often a publisher gives a sign of life on drivers that
// don't notice its end.
const BeatInterval = time.Second

// heart is a publisher's life, as far as its beats tell.
type heart struct {
	listening bool
	count     uint64 // of the last beat; 0: none heard in this incarnation
	heard     time.Duration
	lost      bool // told that it is
}

// listen begins to wait for the beats of an incarnation.
func (tr *Tracker) listen(now time.Duration, p *Publisher) {
	if tr.opts.LostAfter <= 0 {
		return
	}
	if !p.heart.listening {
		if len(tr.hearts) >= maxPublishers {
			// More than there are: somebody makes them up. Those that are told
			// as lost are missed least.
			tr.hearts = slices.DeleteFunc(tr.hearts, func(p *Publisher) bool {
				if p.heart.lost {
					p.heart = heart{}
				}
				return !p.heart.listening
			})
			if len(tr.hearts) >= maxPublishers {
				return
			}
		}
		tr.hearts = append(tr.hearts, p)
	}
	p.heart = heart{listening: true, heard: now}
}

// Beat is a sign of life. Beats are numbered like events: how many are missing
// says for how long nothing was received, whatever this side's clock says, which
// stands still while the machine sleeps.
type Beat struct {
	ID    string // of who says so
	Epoch uint64
	Count uint64
	// Fresh: nobody has ever had that identity before, so whoever hears the
	// first beat has missed nothing that was before it.
	Fresh bool
	// Last: there will be none for the time being, and everything that was
	// published was said again just before. To fall silent now is no loss.
	Last bool
}

// Beat notes a sign of life. p is who sends events of that epoch.
func (tr *Tracker) Beat(now time.Duration, p *Publisher, b Beat) {
	if tr.opts.LostAfter <= 0 || b.Epoch == 0 || b.Count == 0 {
		return
	}
	told := b.Fresh && b.Count == 1 // what it may have said before: nothing
	if tr.nameless[b.Epoch] == p {
		current, replaces := tr.name(now, b.ID, p)
		if !current {
			return
		}
		told = told || replaces
	}
	if told && p.epoch == 0 {
		p.epoch = b.Epoch
		tr.listen(now, p)
	}
	if !tr.incarnation(now, p, b.Epoch) {
		return
	}
	h := &p.heart
	if !h.listening {
		count := h.count // before it fell silent, if that was said
		tr.listen(now, p)
		h.count = count
	}
	if b.Count <= h.count {
		return // late, or twice: it proves nothing
	}
	missed := h.lost || h.count > 0 && b.Count-h.count > uint64(tr.opts.LostAfter/BeatInterval)
	h.count, h.heard, h.lost = b.Count, now, false
	switch {
	case missed && !plant.On(plant.LostOnce):
		tr.resyncAll(now, p, Gap)
	case b.Last:
		h.listening = false
		tr.hearts = slices.DeleteFunc(tr.hearts, func(o *Publisher) bool { return o == p })
	}
}

// named is who has an identity that only beats tell.
type named struct {
	pub *Publisher
	at  time.Duration // since when
}

// name notes the identity of a publisher that is known by its epoch only. It
// replaces the one that had it before: that is how a restart is seen on drivers
// that don't say who sends. current is as in incarnation; replaces says that every
// topic is to be resynced because of it.
func (tr *Tracker) name(now time.Duration, id string, p *Publisher) (current, replaces bool) {
	n := tr.named[id]
	if n.pub == p {
		return true, false
	}
	if p.ID != "" && now-n.at < settled {
		return false, false
	}
	p.ID, p.forgotten = id, false
	tr.named[id] = named{p, now}
	if n.pub == nil || plant.On(plant.EpochIsIdentity) {
		return true, false
	}
	tr.forget(n.pub)
	if tr.opts.Lossy && p.epoch != 0 {
		return true, false // all were due when it was first heard of
	}
	tr.resyncAll(now, p, Incarnation)
	return true, true
}

// nextSilence is when the first publisher will have been silent for too long.
func (tr *Tracker) nextSilence() (at time.Duration, some bool) {
	for _, p := range tr.hearts {
		if until := p.heart.heard + tr.opts.LostAfter; !p.heart.lost && (!some || until < at) {
			at, some = until, true
		}
	}
	return at, some
}

// silence makes resyncs due of publishers that have been silent for too long.
func (tr *Tracker) silence(now time.Duration) {
	for _, p := range tr.hearts {
		if !p.heart.lost && p.heart.heard+tr.opts.LostAfter <= now {
			p.heart.lost = true
			tr.resyncAll(now, p, Lost)
		}
	}
}
