package fanlog

import (
	"slices"
	"sort"
)

const (
	// wholeWrite bounds a write that needs no copy.
	wholeWrite = 256 << 10
	// gatherSize bounds a write that is put together from scattered events.
	gatherSize = 64 << 10
	// directWrite is the run of adjacent events from which on they are written
	// from where they lie instead of being copied together with others.
	directWrite = 16 << 10
	// gatherScan bounds how many events one gather looks at.
	gatherScan = 16 << 10
)

// span is a run of adjacent events in one segment, from a position on.
type span struct {
	at     position
	size   int
	events int // that end in it
}

// chunk is what is to be written to a session next.
type chunk struct {
	bytes []byte
	spans []span
	end   position // where the session stands when all of it is written
}

// gather collects what the session is to get next: as it lies in the log when
// everything there is for it, else event by event. The chunk is valid until
// the next gather. It may be empty with an end before the head: go on then.
func (l *loop) gather(s *Session) *chunk {
	c := &l.chunk
	c.bytes, c.spans = nil, c.spans[:0]
	l.scratch = l.scratch[:0]
	switch {
	case s.at.skip > 0 && len(s.out) > 0:
		// Private bytes wait for the end of this event. Where each write ended
		// inside another event, they would wait for ever.
		l.gatherRest(s, c)
	case s.greedy || s.whole && s.round == l.round:
		l.gatherWhole(s, c)
	case s.round == l.round:
		l.gatherNews(s, c)
	default:
		l.gatherScan(s, c)
	}
	if c.bytes == nil {
		c.bytes = l.scratch
	}
	return c
}

// settle moves a position that is at the end of its segment to the beginning
// of the next one, if there is one, and returns the view it is in.
func (l *loop) settle(p position) (position, *view) {
	v := l.window.view(p.seg)
	for p.entry == len(v.entries) && p.less(l.window.head) && p.seg < l.window.head.seg {
		p = position{seg: p.seg + 1}
		v = l.window.view(p.seg)
	}
	return p, v
}

// gatherWhole takes the next run up to the end of a segment.
func (l *loop) gatherWhole(s *Session, c *chunk) {
	at, v := l.settle(s.at)
	from, to := v.start(at.entry)+at.skip, v.start(l.window.end(v))
	c.end = position{seg: at.seg, entry: l.window.end(v)}
	if to-from > wholeWrite {
		to = from + wholeWrite
		c.end.entry = v.at(to)
		if end := v.start(c.end.entry); end-from >= wholeWrite/2 {
			to = end // where an event ends, if that isn't much less
		}
		c.end.skip = to - v.start(c.end.entry)
	}
	c.bytes = v.data[from:to]
	c.spans = append(c.spans, span{at: at, size: to - from, events: c.end.entry - at.entry})
}

// add appends the event at a position, from its skip on. It says whether the
// event is in the chunk, and whether there is room for more.
func (l *loop) add(c *chunk, v *view, at position) (added, more bool) {
	from, to := v.start(at.entry)+at.skip, v.start(at.entry+1)
	size := to - from
	n := len(c.spans)
	adjacent := n > 0 && c.spans[n-1].at.seg == at.seg && c.spans[n-1].end(v) == from
	one := n == 0 || n == 1 && adjacent // still one run: may become a direct write
	if !one && (c.bytes != nil || len(l.scratch)+size > cap(l.scratch)) {
		return false, false // a direct run ends here, or the copy is full
	}
	if adjacent {
		c.spans[n-1].size += size
		c.spans[n-1].events++
	} else {
		c.spans = append(c.spans, span{at: at, size: size, events: 1})
	}
	if run := c.spans[0].size; one && run >= directWrite {
		c.bytes = v.data[to-run : to]
		return true, run < wholeWrite
	}
	l.scratch = append(l.scratch, v.data[from:to]...)
	return true, len(l.scratch) < gatherSize
}

// end returns the offset in its segment at which the span ends.
func (sp *span) end(v *view) int { return v.start(sp.at.entry) + sp.at.skip + sp.size }

// next returns the position of the event after p.
func next(p position) position { return position{seg: p.seg, entry: p.entry + 1} }

// gatherRest takes the rest of an event that was begun, whoever holds its
// topic now.
func (l *loop) gatherRest(s *Session, c *chunk) (position, bool) {
	if s.at.skip == 0 {
		return s.at, true
	}
	_, more := l.add(c, l.window.view(s.at.seg), s.at)
	c.end = next(s.at)
	return c.end, more
}

// gatherNews merges this round's events of the session's topics: the cost
// follows the matches, whatever else was published.
func (l *loop) gatherNews(s *Session, c *chunk) {
	at, more := l.gatherRest(s, c)
	if !more {
		return
	}
	news := l.merged[:0]
	for g := s.news; g != nil; g = g.next {
		all := g.held.news
		i := sort.Search(len(all), func(i int) bool { return !all[i].less(at) })
		news = append(news, all[i:]...)
	}
	l.merged = news
	if s.topics > 1 {
		slices.SortFunc(news, func(a, b position) int {
			if a.less(b) {
				return -1
			}
			return 1
		})
	}
	for _, p := range news {
		added, more := l.add(c, l.window.view(p.seg), p)
		c.end = p
		if added {
			c.end = next(p)
		}
		if !more {
			return
		}
	}
	c.end = l.window.head
}

// gatherScan looks at every event since the session's position: for sessions
// that have been behind for longer than a round.
func (l *loop) gatherScan(s *Session, c *chunk) {
	at, more := l.gatherRest(s, c)
	budget := gatherScan
	var lastTopic uint32
	known, match := false, false
	for more && budget > 0 {
		var v *view
		at, v = l.settle(at)
		end := l.window.end(v)
		if at.entry >= end {
			break
		}
		for at.entry < end && budget > 0 {
			budget--
			if e := v.entries[at.entry]; !known || e.topic != lastTopic {
				lastTopic, known = e.topic, true
				match = false
				if h := l.index.slots[e.topic].held; h != nil {
					_, match = s.holdings[h]
				}
			}
			if match {
				var added bool
				if added, more = l.add(c, v, at); !added {
					c.end = at
					return
				}
			}
			at = next(at)
			if !more {
				break
			}
		}
	}
	c.end = at
}

// advance moves the session over n written bytes of the chunk.
func (l *loop) advance(s *Session, c *chunk, n int) {
	for _, sp := range c.spans {
		if n >= sp.size {
			n -= sp.size
			s.messages += uint64(sp.events)
			continue
		}
		v := l.window.view(sp.at.seg)
		off := v.start(sp.at.entry) + sp.at.skip + n
		i := v.at(off)
		s.at = position{seg: sp.at.seg, entry: i, skip: off - v.start(i)}
		s.messages += uint64(i - sp.at.entry)
		return
	}
	s.at = c.end
}
