package fanlog

import (
	"slices"
	"strings"
)

// index is one loop's answer to "who holds this topic?". Subscriptions are
// resolved to topics when they or the topics appear, never per event: a
// session that holds ten thousand topics costs nothing while they are quiet.
//
// Topics live here while somebody holds them or the log retains events of
// them that this loop has seen lately. One goroutine owns it.
type index struct {
	names    map[string]*held // every known topic
	sorted   []*held          // the same by name, for prefixes that come later
	slots    []*held          // by log slot; valid where the topic pointer agrees
	prefixes map[string]*prefix
	lengths  []int // of the prefixes present, ascending, with counts beside
	counts   []int
}

// held is one topic and the sessions that hold it.
type held struct {
	name    string
	topic   *topic // as the log last knew it; nil before its first event
	holders []*holding
	seen    uint64     // sequence of the segment of its latest event
	round   uint64     // loop round in which news was last set
	items   int        // how many events this round has of it
	news    []position // those events, where somebody holds it; valid in the round
}

// holding is one session's hold on one topic. A session may hold a topic by
// several subscriptions (`a` and `ab`, or `a` twice).
type holding struct {
	session *Session
	held    *held
	count   int
	at      int      // in held.holders
	next    *holding // of the same session, with news in the same round
}

// prefix is one pattern of foreign peers, shared by all that asked for it.
type prefix struct {
	sessions map[*Session]int
}

func newIndex() *index {
	return &index{names: make(map[string]*held), prefixes: make(map[string]*prefix)}
}

// resolve returns the entry for a topic of the log.
func (x *index) resolve(t *topic) *held {
	if int(t.slot) < len(x.slots) {
		if h := x.slots[t.slot]; h != nil && h.topic == t {
			return h
		}
	}
	return x.resolveSlow(t)
}

func (x *index) resolveSlow(t *topic) *held {
	for int(t.slot) >= len(x.slots) {
		x.slots = append(x.slots, nil)
	}
	h := x.named(t.name)
	h.topic = t
	x.slots[t.slot] = h
	return h
}

// named returns the entry for a name, made when it isn't known yet: every
// prefix that matches it is applied then.
func (x *index) named(name string) *held {
	if h := x.names[name]; h != nil {
		return h
	}
	h := &held{name: name}
	x.names[name] = h
	i, _ := x.search(name)
	x.sorted = slices.Insert(x.sorted, i, h)
	for _, n := range x.lengths {
		if n > len(name) {
			break
		}
		if p := x.prefixes[name[:n]]; p != nil {
			for s, count := range p.sessions {
				s.hold(h, count)
			}
		}
	}
	return h
}

func (x *index) search(name string) (int, bool) {
	return slices.BinarySearchFunc(x.sorted, name, func(h *held, name string) int {
		return strings.Compare(h.name, name)
	})
}

// forget drops topics that nobody holds and whose latest event lies before
// segment first, the oldest that the log retains.
func (x *index) forget(first uint64) {
	kept := x.sorted[:0]
	for _, h := range x.sorted {
		if len(h.holders) > 0 || h.seen >= first {
			kept = append(kept, h)
			continue
		}
		delete(x.names, h.name)
		if h.topic != nil && x.slots[h.topic.slot] == h {
			x.slots[h.topic.slot] = nil
		}
	}
	clear(x.sorted[len(kept):])
	x.sorted = kept
}

// release drops a topic that nobody holds and that never had an event here, so
// that names that come and go leave nothing behind.
func (x *index) release(h *held) {
	if len(h.holders) > 0 || h.topic != nil {
		return
	}
	delete(x.names, h.name)
	if i, found := x.search(h.name); found {
		x.sorted = slices.Delete(x.sorted, i, i+1)
	}
}

// matching returns the known topics that begin with text.
func (x *index) matching(text string) []*held {
	i, _ := x.search(text)
	j := i
	for j < len(x.sorted) && strings.HasPrefix(x.sorted[j].name, text) {
		j++
	}
	return x.sorted[i:j]
}

// addPrefix makes s hold whatever begins with text, now and later.
func (x *index) addPrefix(s *Session, text string) {
	p := x.prefixes[text]
	if p == nil {
		p = &prefix{sessions: make(map[*Session]int)}
		x.prefixes[text] = p
		i, found := slices.BinarySearch(x.lengths, len(text))
		if !found {
			x.lengths = slices.Insert(x.lengths, i, len(text))
			x.counts = slices.Insert(x.counts, i, 0)
		}
		x.counts[i]++
	}
	p.sessions[s]++
	for _, h := range x.matching(text) {
		s.hold(h, 1)
	}
}

// removePrefix undoes times calls of addPrefix.
func (x *index) removePrefix(s *Session, text string, times int) {
	p := x.prefixes[text]
	if p.sessions[s] -= times; p.sessions[s] == 0 {
		delete(p.sessions, s)
	}
	if len(p.sessions) == 0 {
		delete(x.prefixes, text)
		i, _ := slices.BinarySearch(x.lengths, len(text))
		if x.counts[i]--; x.counts[i] == 0 {
			x.lengths = slices.Delete(x.lengths, i, i+1)
			x.counts = slices.Delete(x.counts, i, i+1)
		}
	}
	for _, h := range slices.Clone(x.matching(text)) { // letGo may remove some
		s.letGo(h, times)
	}
}
