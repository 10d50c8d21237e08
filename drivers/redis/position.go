package redis

import (
	"strconv"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// id is the id of an entry of a stream.
type id struct{ ms, seq uint64 }

func parseID(text string) (id, bool) {
	ms, seq, ok := strings.Cut(text, "-")
	if !ok {
		return id{}, false
	}
	a, err := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(seq, 10, 64)
	return id{a, b}, err == nil && err2 == nil
}

func (i id) String() string {
	return strconv.FormatUint(i.ms, 10) + "-" + strconv.FormatUint(i.seq, 10)
}

func (i id) less(o id) bool { return i.ms < o.ms || i.ms == o.ms && i.seq < o.seq }

// position is how far a stream was read: up to an entry, which was the added'th
// that was ever added, if that is known.
type position struct {
	id      id
	added   uint64
	counted bool
}

// state is what a server says of a stream. The zero value: there is none.
type state struct {
	exists      bool
	first, last id // of the entries that are there; last also of those that were
	length      uint64
	added       uint64 // ever
	counts      bool   // the server is new enough to say so
}

// finding is what came of comparing a position with a stream.
type finding struct {
	notice driver.Notice
	// to is where to go on, if reset; otherwise more entries were added before
	// the position than was known.
	reset bool
	to    position
	more  uint64
}

// compare tells whether entries that had not been read at a position are gone by
// the time of a later state.
//
// A stream that is read from an id on silently begins with the oldest entry that
// is left, and waits for ever for ids that a new master, which lacks the end of
// the old one's stream, has not reached. So the numbers of entries ever added
// are compared, which count what was trimmed too.
func compare(p position, s state) finding {
	end := position{s.last, s.added, s.counts}
	switch {
	case !s.exists && p.id == id{}:
		return finding{}
	case !s.exists: // removed, with what had not been read
		return finding{notice: driver.Gap, reset: true, to: position{counted: true}}
	case s.last.less(p.id): // another stream, or an older state of this one
		return finding{notice: driver.Gap, reset: true, to: end}
	case !p.counted || !s.counts:
		if s.last == p.id && s.counts {
			return finding{reset: true, to: end}
		}
		if s.length == 0 && p.id.less(s.last) {
			return finding{notice: driver.Behind, reset: true, to: end}
		}
		return finding{}
	case s.added < p.added:
		if s.last == p.id {
			return finding{notice: driver.Gap, reset: true, to: end}
		}
		return finding{notice: driver.Gap, reset: true, to: position{id: p.id}}
	case s.last == p.id: // all was read
		if s.added > p.added {
			return finding{notice: driver.Behind, more: s.added - p.added}
		}
	case s.length == 0:
		return finding{notice: driver.Behind, reset: true, to: end}
	case p.id.less(s.first): // all that is left has not been read
		if before := s.added - s.length; before > p.added {
			return finding{notice: driver.Behind, more: before - p.added}
		}
	}
	return finding{}
}

// parseState reads the answer to XINFO STREAM.
func parseState(v any) (s state, ok bool) {
	list, _ := v.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		switch value := list[i+1].(type) {
		case int64:
			switch name {
			case "length":
				s.length = uint64(value)
			case "entries-added":
				s.added, s.counts = uint64(value), true
			}
		case string:
			if name == "last-generated-id" {
				s.last, s.exists = parseID(value)
			}
		case []any:
			if name == "first-entry" && len(value) > 0 {
				text, _ := value[0].(string)
				s.first, _ = parseID(text)
			}
		}
	}
	return s, s.exists
}
