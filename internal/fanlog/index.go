package fanlog

import "slices"

// index is one loop's answer to "who holds this topic?". Subscriptions are
// resolved to topics when they or the topics appear, never per event: a
// session that holds ten thousand topics costs nothing while they are quiet,
// and a topic that nobody here holds costs a slot.
//
// A topic is known from its first event that this loop looks at, while the
// window has events of it. A prefix holds the topics that are known. One
// goroutine owns it all.
type index struct {
	log      *log
	names    map[string]*held // every topic that somebody holds
	slots    []indexSlot      // by the log's slot
	known    int              // how many slots are in use
	met      uint64           // how many became known so far
	order    order            // known topics by name
	prefixes map[string]*prefix
	lengths  []int // of the prefixes present, ascending, with counts beside
	counts   []int
}

// indexSlot is a topic that is known.
type indexSlot struct {
	topic *topic // nil: unused
	held  *held  // nil: nobody holds it
	seen  uint64 // sequence of the segment of its latest event
	met   uint64 // which of all that became known it is
}

// held is one topic and the sessions that hold it: one at least.
type held struct {
	name    string
	topic   *topic // nil while it is not known
	holders []*holding
	round   uint64     // loop round in which news was last set
	items   int        // how many events this round has of it
	news    []position // those events; valid in the round
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

func newIndex(l *log) *index {
	return &index{log: l, names: make(map[string]*held), prefixes: make(map[string]*prefix)}
}

// resolve returns the slot of a topic of the log, valid until the next call.
func (x *index) resolve(t *topic) *indexSlot {
	if int(t.slot) < len(x.slots) {
		if r := &x.slots[t.slot]; r.topic == t {
			return r
		}
	}
	return x.meet(t)
}

// meet makes a topic known: every prefix that matches it is applied.
func (x *index) meet(t *topic) *indexSlot {
	for int(t.slot) >= len(x.slots) {
		x.slots = append(x.slots, indexSlot{})
	}
	x.part(t.slot)
	x.known++
	x.met++
	x.order.add(mention{t, x.met}, x)
	h := x.names[t.name]
	x.slots[t.slot] = indexSlot{topic: t, held: h, met: x.met}
	if h != nil {
		h.topic = t
	}
	x.eachPrefix(t.name, func(s *Session) { s.hold(x.holdable(t), 1) })
	return &x.slots[t.slot]
}

// part makes the topic of a slot unknown.
func (x *index) part(slot uint32) {
	r := &x.slots[slot]
	h := r.held
	if r.topic == nil {
		return
	}
	*r = indexSlot{}
	x.known--
	if h != nil {
		h.topic = nil
		x.eachPrefix(h.name, func(s *Session) { s.letGo(h, 1) })
	}
}

// eachPrefix calls f for everybody's prefixes of name.
func (x *index) eachPrefix(name string, f func(*Session)) {
	for _, n := range x.lengths {
		if n > len(name) {
			break
		}
		if p := x.prefixes[name[:n]]; p != nil {
			for s := range p.sessions {
				f(s)
			}
		}
	}
}

// named returns the entry for a name, which the caller is going to hold. That
// the topic is known, though nobody holds it, is looked up in the log.
func (x *index) named(name string) *held {
	if h := x.names[name]; h != nil {
		return h
	}
	if t := x.log.topic(name); t != nil && int(t.slot) < len(x.slots) && x.slots[t.slot].topic == t {
		return x.holdable(t)
	}
	h := &held{name: name}
	x.names[name] = h
	return h
}

// holdable returns the entry for a known topic, which the caller is going to
// hold.
func (x *index) holdable(t *topic) *held {
	r := &x.slots[t.slot]
	if r.held == nil {
		r.held = &held{name: t.name, topic: t}
		x.names[t.name] = r.held
	}
	return r.held
}

// release drops a topic that nobody holds any more.
func (x *index) release(h *held) {
	if len(h.holders) > 0 {
		return
	}
	delete(x.names, h.name)
	if h.topic != nil {
		x.slots[h.topic.slot].held = nil
	}
}

// forget drops what is known only of a segment, which left the window.
func (x *index) forget(seg *segment) {
	for _, slot := range seg.topics {
		if int(slot) < len(x.slots) && x.slots[slot].seen <= seg.seq {
			x.part(slot)
		}
	}
	if len(x.prefixes) == 0 {
		x.order = order{}
	}
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
	for _, m := range x.matching(text) {
		if x.knows(m) {
			s.hold(x.holdable(m.topic), 1)
		}
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
	for _, m := range x.matching(text) {
		if x.knows(m) {
			s.letGo(x.slots[m.topic.slot].held, 1)
		}
	}
}

// knows says whether a topic that became known has been so since.
func (x *index) knows(m mention) bool { return x.slots[m.topic.slot].met == m.met }
