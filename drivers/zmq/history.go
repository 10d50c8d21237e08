package zmq

import "maps"

// history is what a subscriber knows of one publisher across connections: where
// its stream stood at the last mark, and which topics were in force then. It
// only computes; the subscriber's lock guards it.
type history struct {
	id    string
	epoch uint64
	known bool // was connected before
	marks bool // the publisher gives marks

	mark    uint64 // offset of the last mark that was right
	marked  bool   // there is one
	suspect bool   // the connection before ended because messages were missing
	proven  bool   // a mark of this connection was right

	// fresh are topics held that were not in force at the last mark, with the
	// token of the PING that confirms them.
	fresh map[string]uint64

	catching bool   // resumed, and not yet at
	target   uint64 // where the publisher stood then

	line     *line // by which it is connected; nil: by none
	heard    int64 // the last sign of life before that, by the clock
	watching bool  // somebody waits for LostAfter to pass
	gone     bool  // and it has
}

// States of a fresh topic, besides a token.
const (
	unasked   uint64 = 0
	confirmed uint64 = 1<<64 - 1 // and the next mark makes it in force
)

// plan is how a connection begins.
type plan uint8

const (
	planFirst   plan = iota // nothing was missed: it is the first
	planResume              // goes on from the mark
	planRestart             // another incarnation
	planGap                 // can't be resumed: something may be missing
)

func newHistory(id string) *history {
	return &history{id: id, fresh: make(map[string]uint64)}
}

// connect notes that a connection to an incarnation was made, and says how it
// is to begin. resumes: the publisher can resume. held are all topics held.
func (h *history) connect(epoch uint64, resumes bool, held map[string]struct{}) plan {
	first, same := !h.known, epoch == h.epoch
	h.known, h.epoch, h.marks, h.gone, h.proven = true, epoch, resumes, false, false
	if !first && same && resumes && h.marked && !h.suspect && len(held) > len(h.fresh) {
		h.catching, h.target = true, 0
		return planResume
	}
	h.marked, h.suspect, h.catching = false, false, false
	for t := range held {
		h.fresh[t] = unasked
	}
	switch {
	case first:
		return planFirst
	case !same:
		return planRestart
	}
	return planGap
}

// add notes that topics are held from now on.
func (h *history) add(topics []string) {
	for _, t := range topics {
		h.fresh[t] = unasked
	}
}

// drop notes that topics are no longer held.
func (h *history) drop(topics []string) {
	for _, t := range topics {
		delete(h.fresh, t)
	}
}

// ask returns the topics that the publisher was not asked for yet, and
// notes that they are, with a token.
func (h *history) ask(token uint64) (topics []string) {
	for t, state := range h.fresh {
		if state == unasked {
			topics = append(topics, t)
			h.fresh[t] = token
		}
	}
	return topics
}

// old returns the topics that were in force at the mark.
func (h *history) old(held map[string]struct{}) (topics []string) {
	for t := range held {
		if _, fresh := h.fresh[t]; !fresh {
			topics = append(topics, t)
		}
	}
	return topics
}

// confirm notes that a token came back, and returns the topics it confirms.
func (h *history) confirm(token uint64) (topics []string) {
	for t, state := range h.fresh {
		if state != unasked && state <= token {
			if h.fresh[t] = confirmed; !h.marks {
				delete(h.fresh, t)
			}
			topics = append(topics, t)
		}
	}
	return topics
}

// waits says whether a topic is neither in force nor confirmed.
func (h *history) waits(topic string) bool {
	state, fresh := h.fresh[topic]
	return fresh && state != confirmed
}

// complete says whether every topic is in force or confirmed.
func (h *history) complete() bool {
	if h.catching {
		return false
	}
	for _, state := range h.fresh {
		if state != confirmed {
			return false
		}
	}
	return true
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
	if messages != got {
		// Once more from the last mark; but not if that one didn't help.
		h.suspect = !h.proven
		return false, false
	}
	h.mark, h.marked, h.proven = offset, true, true
	maps.DeleteFunc(h.fresh, func(_ string, state uint64) bool { return state == confirmed })
	if h.catching && offset >= h.target {
		h.catching = false
		return true, true
	}
	return true, false
}

// end notes that the connection is gone.
func (h *history) end() {
	for t := range h.fresh {
		h.fresh[t] = unasked
	}
}
