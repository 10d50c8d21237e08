package zmq

import (
	"math"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// history is what a subscriber knows of one publisher across connections: where
// its stream stood at the last mark, and which topics were in force then: those
// that are held and not wanted. It only computes; the subscriber's lock guards
// it.
type history struct {
	id    string
	epoch uint64
	known bool // was connected before
	marks bool // the publisher gives marks

	mark   uint64 // offset of the last mark that was right
	marked bool   // there is one

	// A connection that ended by what came from it is resumed once from the
	// same mark, not again and again.
	faulty  bool
	fault   uint64 // the mark before the latest such end
	suspect bool   // it was the same as at the one before that

	wanted wanted

	start driver.Notice // is due about all topics, when first comes back
	first uint64        // the token that was asked with first

	catching bool   // resumed, and not yet at
	target   uint64 // where the publisher stood then
	probing  bool   // a PING for the next mark is under way

	line     *line // by which it is connected; nil: by none
	heard    int64 // the last sign of life before that, by the clock
	watching bool  // somebody waits for LostAfter to pass
	gone     bool  // and it has
	dormant  bool  // and no line leads to it: it is only known to have been
}

func newHistory(id string) *history { return &history{id: id} }

// connect notes that a connection to an incarnation was made, and says whether
// it is to be resumed. marks: the publisher can. held are all topics held,
// token is that of what will be asked first.
func (h *history) connect(epoch uint64, marks bool, held map[string]struct{}, token uint64) (resume bool) {
	first, same := !h.known, epoch == h.epoch || plant.On(plant.ResumeOtherServer)
	inForce := len(held) > len(h.wanted.topics)
	h.known, h.epoch, h.marks, h.first, h.gone = true, epoch, marks, token, false
	if !first && same && marks && h.marked && !h.suspect && inForce {
		h.catching, h.target, h.probing = true, math.MaxUint64, true
		return true
	}
	h.marked, h.suspect, h.faulty, h.catching, h.dormant = false, false, false, false, false
	switch {
	case first:
	case !same:
		h.start = driver.Restarted
	case inForce:
		h.start = driver.Gap
	} // or what was due before is due still
	for t := range held {
		if _, ok := h.wanted.topics[t]; !ok {
			h.wanted.put(t)
		}
	}
	return false
}

// add notes that topics are held from now on.
func (h *history) add(topics []string) {
	if h.dormant {
		return
	}
	for _, t := range topics {
		h.wanted.put(t)
	}
}

// drop notes that topics are no longer held.
func (h *history) drop(topics []string) {
	for _, t := range topics {
		h.wanted.drop(t)
	}
}

// old returns the topics that were in force at the mark.
func (h *history) old(held map[string]struct{}) (topics []string) {
	for t := range held {
		if _, ok := h.wanted.topics[t]; !ok {
			topics = append(topics, t)
		}
	}
	return topics
}

// confirm notes that a token came back. It returns the notice about all topics
// that is due now; or else the topics that are confirmed: those on which
// somebody relied before, and the others.
func (h *history) confirm(token uint64) (start driver.Notice, relied, others []string) {
	relied, others = h.wanted.confirm(token)
	if !h.marks {
		h.wanted.settle() // there won't be a mark
	}
	if h.start != driver.NoNotice && token >= h.first {
		// Which is all that there is to say of these.
		start, h.start = h.start, driver.NoNotice
		relied, others = nil, nil
	}
	return start, relied, others
}

// waits says whether one of the topics is neither in force nor confirmed.
func (h *history) waits(topics []string) bool {
	for _, t := range topics {
		if h.wanted.waits(t) {
			return true
		}
	}
	return false
}

// complete says whether every topic is in force or confirmed.
func (h *history) complete() bool {
	return !h.catching && h.wanted.pending == 0 && h.start == driver.NoNotice
}

// from notes how the publisher goes on. It says whether something was missed.
func (h *history) from(how byte, head uint64) (missed bool) {
	if how == fromMark {
		h.target = head
		return false
	}
	h.catching = false
	return true
}

// markAt takes a mark: the publisher has sent messages on this connection, of
// which got were received. It says whether these agree; if not, the connection
// is worth nothing. caught: what is to be asked for can be asked for.
func (h *history) markAt(offset, messages, got uint64) (ok, caught bool) {
	if messages != got && !plant.On(plant.CountIgnored) {
		return false, false
	}
	h.mark, h.marked = offset, true
	h.wanted.settle()
	if h.catching && offset >= h.target {
		h.catching = false
		return true, true
	}
	return true, false
}

// end notes that the connection is gone. fault: because of what came from it.
func (h *history) end(fault bool) {
	if fault {
		h.suspect = h.faulty && h.fault == h.mark
		h.faulty, h.fault = true, h.mark
	}
	h.catching = false
	h.wanted.again()
}

// rest notes that the publisher is gone and no line leads to it.
func (h *history) rest() {
	h.dormant, h.marked = true, false
	h.wanted = wanted{}
}
