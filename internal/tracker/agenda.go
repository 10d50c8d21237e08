package tracker

import (
	"container/heap"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// due is something that is to happen to a series.
type due struct {
	series *series
	at     time.Duration
	why    Reason
	covers bool // events are not delivered until then
	gap    bool // not a resync as such: the end of a wait
}

// agenda is a heap of what is due, the earliest first. An entry counts only
// while its series says so.
type agenda []*due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*due)) }
func (a *agenda) Pop() any {
	old := *a
	last := len(old) - 1
	d := old[last]
	old[last] = nil
	*a = old[:last]
	return d
}

func (a *agenda) add(d *due) { heap.Push(a, d) }

// counts says whether an entry is still meant.
func (d *due) counts() bool {
	s := d.series
	return !s.topic.Dropped() && (s.due == d || s.overdue == d)
}

// resync makes a resync due. One that is due and covers as much stays when it
// is: to take the earlier of two random moments, again and again, would be no
// spread. One that doesn't may have to wait for a handler that failed.
func (tr *Tracker) resync(s *series, why Reason, at time.Duration, covers bool) {
	if covers {
		s.swallow()
	}
	if d := s.due; d != nil && (d.covers || !covers && d.at <= at) {
		return
	}
	s.due = &due{series: s, at: at, why: why, covers: covers}
	tr.agenda.add(s.due)
}

// Resync is an order to tell the handler to resync.
type Resync struct {
	Topic     *Topic
	Publisher *Publisher
	Why       Reason
}

// Next returns when Due has something; ok says whether that will be ever.
func (tr *Tracker) Next() (at time.Duration, ok bool) {
	at, ok = tr.nextSilence()
	for len(tr.agenda) > 0 {
		if d := tr.agenda[0]; d.counts() {
			if !ok || d.at < at {
				at = d.at
			}
			return at, true
		}
		heap.Pop(&tr.agenda)
	}
	return at, ok
}

// Due returns the next resync whose time has come. It counts as told: if the
// handler fails, call Again.
func (tr *Tracker) Due(now time.Duration) (r Resync, ok bool) {
	tr.silence(now)
	for len(tr.agenda) > 0 {
		if d := tr.agenda[0]; d.counts() && d.at > now {
			break
		}
		d := heap.Pop(&tr.agenda).(*due)
		if !d.counts() {
			continue
		}
		s := d.series
		if d.gap {
			// What was overtaken has not come.
			d.why = Gap
			if s.last == 0 {
				d.why = Subscribed
			}
			s.swallow()
			if plant.On(plant.PatienceUntold) {
				continue
			}
		}
		s.due = nil
		if plant.On(plant.CoveredForgotten) && d.covers && d.why == Incarnation {
			continue
		}
		return Resync{s.topic, s.pub, d.why}, true
	}
	return Resync{}, false
}

// Told notes that the handler was told to resync and did not fail. Whatever was
// due is told with it.
func (tr *Tracker) Told(t *Topic, p *Publisher) {
	s := tr.of(t, p)
	s.due, s.failed, s.base = nil, 0, 0
}

// maxPause is the longest pause between attempts to tell a handler that fails.
const maxPause = 30 * time.Second

// Again makes a resync due again on which the handler failed, after a pause
// that grows. Events are delivered meanwhile: the handler was told before them.
func (tr *Tracker) Again(now time.Duration, r Resync) {
	s := tr.of(r.Topic, r.Publisher)
	if plant.On(plant.ToldOnce) || plant.On(plant.GiveUp) && s.failed >= 5 {
		return
	}
	pause := min(time.Second<<min(s.failed, 8), maxPause)
	s.failed = min(s.failed, 8) + 1
	tr.resync(s, r.Why, now+pause, false)
}
