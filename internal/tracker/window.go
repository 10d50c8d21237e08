package tracker

import (
	"cmp"
	"slices"
	"time"
)

// item is an event that waits.
type item struct {
	seq   uint64
	at    time.Duration // since when
	event any
}

// Keep holds an event on which the verdict was Wait. It must not change any
// more.
func (tr *Tracker) Keep(now time.Duration, t *Topic, p *Publisher, seq uint64, event any) {
	s := tr.of(t, p)
	if i, found := s.find(seq); !found {
		s.held = slices.Insert(s.held, i, item{seq, now, event})
		tr.wait(s)
	}
}

// find looks for what waits.
func (s *series) find(seq uint64) (i int, found bool) {
	return slices.BinarySearchFunc(s.held, seq, func(a item, seq uint64) int { return cmp.Compare(a.seq, seq) })
}

// wait says until when what waits does so. All of it lies behind the first
// number that is missing, so that this one was overtaken when the first of it
// came.
func (tr *Tracker) wait(s *series) {
	if len(s.held) == 0 && s.tail == 0 {
		s.held, s.overdue = nil, nil
		return
	}
	since := s.tailAt
	if s.tail == 0 {
		since = s.held[0].at
	}
	for i := range s.held {
		since = min(since, s.held[i].at)
	}
	at := since + tr.opts.Patience
	if s.overdue == nil || s.overdue.at != at {
		s.overdue = &due{series: s, at: at, gap: true}
		tr.agenda.add(s.overdue)
	}
}

// Ready returns the next event that waited and whose turn it is. Call it after
// a Deliver or a Missing, until it says no.
func (tr *Tracker) Ready(t *Topic, p *Publisher) (event any, ok bool) {
	s := tr.of(t, p)
	if len(s.held) == 0 || s.held[0].seq-1 != s.last {
		if s.overdue != nil {
			tr.reach(s, s.last)
		}
		return nil, false
	}
	event = s.held[0].event
	tr.reach(s, s.held[0].seq)
	return event, true
}
