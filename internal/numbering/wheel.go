package numbering

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// Tick is how often a Book with beacons is to be advanced.
const Tick = 125 * time.Millisecond

// A topic is beaconed so many ticks after its last event, then after twice as
// many, and so on; and then once in so many.
const (
	firstBeacon = 4   // 0.5 s
	doubles     = 6   // up to 32 s
	lastBeacon  = 480 // 1 min
	jitter      = 64  // less, for some: topics that fell quiet together part
)

// slots is a power of two above lastBeacon.
const slots = 512

// wheel is when which series is to be beaconed: a ring of lists, one for each
// tick of the next minute.
type wheel struct {
	slots  [slots]*Series
	now    uint32 // ticks so far
	done   uint32 // ticks whose lists are empty
	rounds uint32 // of beacons that are a minute apart
	busy   uint32 // of a planted bug: the last event, of whatever topic
}

// turn is a series' place on the wheel.
type turn struct {
	next, prev *Series
	at         uint32 // of which tick; means something while queued
	quiet      uint32 // since when
	sent       uint8  // beacons since then
	queued     bool
}

// Accepted notes that an event of a series was: its beacons begin anew.
func (b *Book) Accepted(s *Series) {
	w := b.wheel
	if w == nil {
		return
	}
	if plant.On(plant.BeaconWhenAllIdle) {
		w.busy = w.now
	}
	s.quiet = w.now
	if s.queued {
		if s.sent == 0 {
			return // nearly always; when its turn comes it is found to be busy
		}
		w.remove(s)
	}
	s.sent = 0
	w.put(s, w.now+firstBeacon)
}

// Advance says that a Tick has passed, or several. While beacons are not
// collected, or after a long sleep, time stands still: the ring has no more room.
func (b *Book) Advance(ticks int) {
	if w := b.wheel; w != nil {
		w.now += min(uint32(max(ticks, 0)), slots-lastBeacon-1-(w.now-w.done))
	}
}

// Beacon returns the next series whose last number is to be said again now, or
// nil. If that fails, call Retry.
func (b *Book) Beacon() *Series {
	w := b.wheel
	if w == nil {
		return nil
	}
	for {
		s := w.slots[w.done%slots]
		if s == nil {
			if w.done == w.now {
				return nil
			}
			w.done++
			continue
		}
		w.remove(s)
		if s.sent == 0 && w.now-s.quiet < firstBeacon {
			w.put(s, s.quiet+firstBeacon)
			continue
		}
		if plant.On(plant.BeaconWhenAllIdle) && w.now-w.busy < firstBeacon {
			w.put(s, w.now+1)
			continue
		}
		if b.forgot(s) {
			return s // for the last time
		}
		if s.sent <= doubles {
			s.sent++
		}
		if s.sent <= doubles {
			w.put(s, s.quiet+firstBeacon<<s.sent)
		} else {
			w.rounds++
			w.put(s, w.now+lastBeacon-w.rounds%jitter)
		}
		return s
	}
}

// recent is how many beacons a series has had that fell quiet a few seconds ago.
const recent = 3

// Recent returns the series of which the last event is not long ago, so that it
// may not have been noticed yet if it was lost.
func (b *Book) Recent() (list []*Series) {
	if b.wheel == nil {
		return nil
	}
	for _, s := range b.wheel.slots {
		for ; s != nil; s = s.next {
			if s.sent <= recent {
				list = append(list, s)
			}
		}
	}
	return list
}

// Refused notes that a beacon of a series was not taken and won't be. first: its
// last event was not said to be unheard yet.
func (b *Book) Refused(s *Series) (first bool) {
	first = s.refused != s.last
	s.refused = s.last
	return first
}

// Retry gives a series its turn again at the next tick.
func (b *Book) Retry(s *Series) {
	if s.queued {
		b.wheel.remove(s)
	}
	if s.sent > 0 {
		s.sent--
	}
	b.wheel.put(s, b.wheel.now+1)
}

// put gives a series its turn at a tick, which must not be further away than a
// minute, and is the next one at the earliest.
func (w *wheel) put(s *Series, at uint32) {
	if int32(at-w.now) < 1 {
		at = w.now + 1
	}
	s.at, s.queued = at, true
	head := &w.slots[at%slots]
	s.prev, s.next = nil, *head
	if *head != nil {
		(*head).prev = s
	}
	*head = s
}

func (w *wheel) remove(s *Series) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.slots[s.at%slots] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev, s.queued = nil, nil, false
}
