package tracker

import (
	"slices"
	"time"
)

// Keep holds an event on which the verdict was Wait. It must not change any
// more.
func (tr *Tracker) Keep(now time.Duration, t *Topic, p *Publisher, seq uint64, event any) {
	s := t.of(p)
	tr.wait(now, s)
	s.held = insert(s.held, item{seq, event})
}

// wait begins to wait for what was overtaken.
func (tr *Tracker) wait(now time.Duration, s *series) {
	if s.overdue == nil {
		s.overdue = &due{series: s, at: now + tr.opts.Patience, gap: true}
		tr.agenda.add(s.overdue)
	}
}

// insert adds an item by its number. Of two with one number the event stays,
// not the beacon.
func insert(items []item, it item) []item {
	i, found := slices.BinarySearchFunc(items, it.seq, func(a item, seq uint64) int {
		switch {
		case a.seq < seq:
			return -1
		case a.seq > seq:
			return 1
		}
		return 0
	})
	if found {
		if items[i].event == nil {
			items[i] = it
		}
		return items
	}
	return slices.Insert(items, i, it)
}

// Ready returns the next event that waited and whose turn it is. Call it after
// a Deliver, and after a resync was told, until it says no.
func (tr *Tracker) Ready(t *Topic, p *Publisher) (event any, ok bool) {
	s := t.of(p)
	for len(s.held) > 0 {
		it := s.held[0]
		if it.seq > s.last+1 || it.seq == s.last+1 && it.event == nil {
			return nil, false
		}
		if s.held = s.held[1:]; len(s.held) == 0 {
			s.held, s.overdue = nil, nil
		}
		if it.seq <= s.last {
			continue
		}
		s.last = it.seq
		return it.event, true
	}
	return nil, false
}
