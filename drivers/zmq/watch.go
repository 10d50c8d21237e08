package zmq

import (
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// maxDormant bounds how many publishers are remembered that are gone and to
// which no line leads.
const maxDormant = 64

// historyLocked returns the history that a connection to an incarnation of a
// publisher goes on with. rival is the line by which another incarnation of it
// is connected, if there is one: its end was not noticed yet, or two services
// have one identity. They are kept apart.
func (s *subscriber) historyLocked(id string, epoch uint64) (h *history, rival *line) {
	var before *history
	for _, h := range s.histories {
		switch {
		case h.id != id:
		case h.epoch == epoch:
			return h, nil
		case before == nil || h.line == nil:
			before = h
		}
	}
	if before != nil && before.line == nil {
		return before, nil
	}
	h = newHistory(id)
	if before != nil {
		h.known, h.epoch, rival = true, before.epoch, before.line
	}
	s.histories = append(s.histories, h)
	return h, rival
}

// forgetLocked drops what is known of a publisher to which no line leads.
func (s *subscriber) forgetLocked(h *history) {
	if h != nil && !s.ledLocked(h) {
		s.histories = slices.DeleteFunc(s.histories, func(o *history) bool { return o == h })
	}
}

// ledLocked says whether a line leads to a publisher, or did last.
func (s *subscriber) ledLocked(h *history) bool {
	for _, l := range s.lines {
		if l.history == h {
			return true
		}
	}
	return false
}

// watch gives the notice that a publisher is gone, unless it is connected again
// in time.
func (s *subscriber) watch(h *history) {
	for {
		s.mu.Lock()
		rest := time.Duration(h.heard-clock()) + s.cfg.LostAfter
		back := h.line != nil || s.closed || !slices.Contains(s.histories, h)
		if !back && rest > 0 {
			s.mu.Unlock()
			if await(s.ctx, rest) != nil {
				return
			}
			continue
		}
		h.watching = false
		gone := !back && s.goneLocked(h)
		id, epoch := h.id, h.epoch
		s.mu.Unlock()
		if gone && !plant.On(plant.GoneUntold) {
			s.cfg.Log.Warn("publisher gone", "id", id, "silent", s.cfg.LostAfter)
			s.in.note([]driver.Message{{Notice: driver.Gone, Source: &driver.Source{Publisher: id, Epoch: epoch}}})
		}
		return
	}
}

// goneLocked notes that a publisher is gone. It says no when that is not to be
// told: a later incarnation of it is connected.
func (s *subscriber) goneLocked(h *history) bool {
	for _, o := range s.histories {
		if o.id == h.id && o.line != nil {
			s.forgetLocked(h)
			return false
		}
	}
	h.gone = true
	s.restLocked(h)
	return true
}

// restLocked makes a publisher that is gone a dormant one, when no line leads to
// it any more. The oldest of too many are forgotten for good.
func (s *subscriber) restLocked(h *history) {
	if h == nil || !h.gone || s.ledLocked(h) {
		return
	}
	h.rest()
	dormant := 0
	for i := len(s.histories) - 1; i >= 0; i-- {
		if s.histories[i].dormant {
			if dormant++; dormant > maxDormant {
				s.histories = slices.Delete(s.histories, i, i+1)
			}
		}
	}
}
