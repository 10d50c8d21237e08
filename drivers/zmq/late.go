package zmq

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// lateAfter is how long a subscription that came into force when nobody waited
// for it is kept back as a notice: who calls Await in that time knows.
const lateAfter = time.Second

// tellLate gives the notices that nobody made needless by Await.
func (s *subscriber) tellLate() {
	s.mu.Lock()
	late := s.late
	s.late, s.later = nil, nil
	if !s.closed && len(late) > 0 {
		// Not under the lock, and not without an owner: the inbox may be full.
		s.wg.Go(func() { s.in.note(late) })
	}
	s.mu.Unlock()
}

// watch gives the notice that a publisher is gone, unless it is connected again
// in time.
func (s *subscriber) watch(h *history) {
	for {
		s.mu.Lock()
		rest := time.Duration(h.heard-clock()) + s.cfg.LostAfter
		back := h.line != nil || s.closed || s.histories[h.id] != h
		if back || rest <= 0 {
			h.watching = false
			if !back {
				h.gone = true
				s.forgetLocked(h)
			}
			s.mu.Unlock()
			if !back {
				s.cfg.Log.Warn("publisher gone", "id", h.id, "silent", s.cfg.LostAfter)
				s.in.note([]driver.Message{{Notice: driver.Gone, Source: &driver.Source{Publisher: h.id, Epoch: h.epoch}}})
			}
			return
		}
		s.mu.Unlock()
		if await(s.ctx, rest) != nil {
			return
		}
	}
}

// forgetLocked drops what is known of a publisher to which no line leads.
func (s *subscriber) forgetLocked(h *history) {
	if h == nil {
		return
	}
	for _, l := range s.lines {
		if l.history == h {
			return
		}
	}
	delete(s.histories, h.id)
}
