package fanlog

import "slices"

// index is one loop's answer to "who holds this topic?". Subscriptions are
// resolved to topics when they or the topics appear, never per event: a
// session that holds ten thousand topics costs nothing while they are quiet.
//
// Topics live here while somebody holds them or the log retains events of
// them that this loop has seen lately. What only subscribers speak of is no
// topic to prefixes: who makes up names costs others nothing. One goroutine
// owns it.
type index struct {
	names    map[string]*held // every known topic
	sorted   nameList         // those that had an event, for prefixes that come later
	slots    []*held          // by log slot; valid where the topic pointer agrees
	prefixes map[string]*prefix
	lengths  []int // of the prefixes present, ascending, with counts beside
	counts   []int
}

// held is one topic and the sessions that hold it.
type held struct {
	name    string
	topic   *topic // as the log last knew it; nil before its first event; then it is sorted too
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
	if h.topic == nil {
		x.sorted.insert(h)
		x.prefix(h)
	}
	h.topic = t
	x.slots[t.slot] = h
	return h
}

// named returns the entry for a name, made when it isn't known yet.
func (x *index) named(name string) *held {
	h := x.names[name]
	if h == nil {
		h = &held{name: name}
		x.names[name] = h
	}
	return h
}

// prefix applies every prefix that matches a topic.
func (x *index) prefix(h *held) {
	for _, n := range x.lengths {
		if n > len(h.name) {
			break
		}
		if p := x.prefixes[h.name[:n]]; p != nil {
			for s := range p.sessions {
				s.hold(h, 1)
			}
		}
	}
}

// forget drops topics that nobody holds and whose latest event lies before
// segment first, the oldest that the log retains.
func (x *index) forget(first uint64) {
	x.sorted.keep(func(h *held) bool {
		if len(h.holders) > 0 || h.seen >= first {
			return true
		}
		delete(x.names, h.name)
		if x.slots[h.topic.slot] == h {
			x.slots[h.topic.slot] = nil
		}
		return false
	})
}

// release drops a topic that nobody holds and that never had an event here, so
// that names that come and go leave nothing behind.
func (x *index) release(h *held) {
	if len(h.holders) > 0 || h.topic != nil {
		return
	}
	delete(x.names, h.name)
}

// addPrefix makes s hold whatever begins with text, now and later. It is to be
// undone as often as it is called.
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
	if p.sessions[s]++; p.sessions[s] > 1 {
		return
	}
	for _, h := range x.sorted.matching(text) {
		s.hold(h, 1)
	}
}

// removePrefix undoes times calls of addPrefix.
func (x *index) removePrefix(s *Session, text string, times int) {
	p := x.prefixes[text]
	if p.sessions[s] -= times; p.sessions[s] > 0 {
		return
	}
	delete(p.sessions, s)
	if len(p.sessions) == 0 {
		delete(x.prefixes, text)
		i, _ := slices.BinarySearch(x.lengths, len(text))
		if x.counts[i]--; x.counts[i] == 0 {
			x.lengths = slices.Delete(x.lengths, i, i+1)
			x.counts = slices.Delete(x.counts, i, i+1)
		}
	}
	for _, h := range x.sorted.matching(text) {
		s.letGo(h, 1)
	}
}
