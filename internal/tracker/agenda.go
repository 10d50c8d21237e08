package tracker

import (
	"container/heap"
	"time"
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

// resync makes a resync due. What is due already stays, if it is not later and
// covers as much.
func (tr *Tracker) resync(s *series, why Reason, at time.Duration, covers bool) {
	if covers {
		s.held, s.overdue = nil, nil
	}
	if d := s.due; d != nil {
		if d.covers || !covers {
			if d.at <= at {
				return
			}
			why, covers = d.why, d.covers
		}
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
	for len(tr.agenda) > 0 {
		if d := tr.agenda[0]; d.counts() {
			return d.at, true
		}
		heap.Pop(&tr.agenda)
	}
	return 0, false
}

// Due returns the next resync whose time has come. It counts as told: if the
// handler fails, call Again. After it, Ready may have events.
func (tr *Tracker) Due(now time.Duration) (r Resync, ok bool) {
	for {
		at, some := tr.Next()
		if !some || at > now {
			return Resync{}, false
		}
		d := heap.Pop(&tr.agenda).(*due)
		s := d.series
		if d.gap {
			// What was overtaken has not come.
			s.overdue = nil
			if len(s.held) == 0 {
				continue
			}
			d.why = Gap
			first := s.held[0].seq
			if s.last == 0 {
				d.why = Subscribed
			}
			s.last = first - 1
			if s.held[0].event == nil { // a beacon: itself among the missing
				s.last = first
			}
			for i, it := range s.held { // a new wait for what is missing behind
				if it.seq != first+uint64(i) {
					tr.wait(now, s)
					break
				}
			}
		}
		if s.due != nil {
			s.due = nil
		}
		return Resync{s.topic, s.pub, d.why}, true
	}
}

// Told notes that the handler was told to resync, because of Missing, and did
// not fail.
func (tr *Tracker) Told(t *Topic, p *Publisher) {
	s := t.of(p)
	s.due, s.failed = nil, 0
}

// maxPause is the longest pause between attempts to tell a handler that fails.
const maxPause = 30 * time.Second

// Again makes a resync due again on which the handler failed, after a pause
// that grows. Events are delivered meanwhile: the handler was told before them.
func (tr *Tracker) Again(now time.Duration, r Resync) {
	s := r.Topic.of(r.Publisher)
	pause := min(time.Second<<min(s.failed, 8), maxPause)
	s.failed++
	tr.resync(s, r.Why, now+pause, false)
}
