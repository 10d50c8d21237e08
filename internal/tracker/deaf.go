package tracker

import (
	"container/heap"
	"time"
)

// Deaf says that nobody listened for a while, up to now: what was said meanwhile
// is yet to be heard. So that time is no silence, and what was overtaken before it
// may still come.
func (tr *Tracker) Deaf(d time.Duration) {
	for _, p := range tr.hearts {
		p.heart.heard += d
	}
	moved := false
	for _, due := range tr.agenda {
		if !due.gap || !due.counts() {
			continue
		}
		s := due.series
		s.tailAt += d
		for i := range s.held {
			s.held[i].at += d
		}
		due.at += d
		moved = true
	}
	if moved {
		heap.Init(&tr.agenda)
	}
}
