package sim

import "fmt"

// Violation is a property that did not hold.
type Violation struct {
	Property string
	What     string
	sub      int
	topic    int
	pub      int // -1: any
}

// record is an event that a publisher accepted.
type record struct {
	incarnation uint16
	epoch, seq  uint64
	at          int64
}

// checker judges what handlers got by what publishers accepted. It knows
// nothing of how the one became the other.
type checker struct {
	w       *world // for the time, and to note what was violated
	history [maxPubs][maxTopics][]record
	holds   [maxSubs][maxTopics]hold
	alive   [maxPubs]int // the incarnation; events of earlier ones may still come

	// The events that were accepted before settled must have been told of by then, and
	// those later within bound. Nothing may be told from quiet on.
	// Of those that were accepted from fresh on only the bound counts.
	settled, fresh, quiet int64
	bound                 int64
}

// hold is a topic at a subscriber from when it is subscribed to until it is
// not.
type hold struct {
	on       bool
	owed     bool // Subscribe has returned: from then on everything counts
	gen      uint32
	since    int64
	returned int64
	pubs     [maxPubs]progress
}

// progress is what a handler got of one publisher's events of a topic.
type progress struct {
	floor   int      // all before were delivered, or told of
	last    [8]int32 // the last event delivered, plus one, by incarnation modulo 8
	lastOf  [8]uint16
	told    uint8 // a resync, since the last event that was delivered, by incarnation likewise
	covered int32 // the last event that was called needless, plus one
	marked  int32 // all before this one were said to have come
}

func (c *checker) reset(w *world) {
	c.w = w
	for p := range c.history {
		for t := range c.history[p] {
			c.history[p][t] = c.history[p][t][:0]
		}
	}
	c.holds = [maxSubs][maxTopics]hold{}
	c.alive = [maxPubs]int{}
	c.settled, c.fresh, c.quiet, c.bound = 1<<62, 1<<62, 1<<62, 0
}

func (c *checker) violated(property string, s, t, p int, format string, args ...any) {
	if c.w.violation == nil {
		c.w.violation = &Violation{property, fmt.Sprintf("%8.3f s: ", float64(c.w.cal.now)/1000) + fmt.Sprintf(format, args...), s, t, p}
	}
}

// restarted notes that a publisher has a new incarnation.
func (c *checker) restarted(p int) { c.alive[p]++ }

// accepted notes an event, and returns what identifies it.
func (c *checker) accepted(p, t int, epoch, seq uint64) (idx uint32) {
	h := &c.history[p][t]
	*h = append(*h, record{uint16(c.alive[p]), epoch, seq, c.w.cal.now})
	return uint32(len(*h) - 1)
}

// subscribed, confirmed and dropped are what a subscriber does with a topic.
func (c *checker) subscribed(s, t int, gen uint32) {
	c.holds[s][t] = hold{on: true, gen: gen, since: c.w.cal.now}
}

func (c *checker) confirmed(s, t int) {
	h := &c.holds[s][t]
	h.owed, h.returned = true, c.w.cal.now
	for p := range c.w.plan.pubs {
		h.pubs[p].floor = len(c.history[p][t])
	}
}

func (c *checker) dropped(s, t int) { c.holds[s][t] = hold{} }

// event is a call of a handler with one; ok says that it did not fail.
func (c *checker) event(s, t, p int, gen uint32, idx uint32, epoch, seq uint64, ok bool) {
	h := &c.holds[s][t]
	if !h.on || h.gen != gen {
		c.violated("I1", s, t, p, "event %d was delivered to a handler that doesn't hold the topic", idx)
		return
	}
	list := c.history[p][t]
	if int(idx) >= len(list) || list[idx].epoch != epoch || list[idx].seq != seq {
		c.violated("I1", s, t, p, "event %d is not what was accepted", idx)
		return
	}
	g := &h.pubs[p]
	inc := list[idx].incarnation
	at := &g.last[inc%8]
	if g.lastOf[inc%8] != inc {
		g.lastOf[inc%8], *at = inc, 0
	}
	switch last := *at - 1; {
	case last < 0:
	case int32(idx) == last:
		c.violated("I3", s, t, p, "event %d was delivered twice", idx)
	case int32(idx) < last:
		c.violated("I2", s, t, p, "event %d was delivered after event %d", idx, last)
	case int32(idx) > last+1 && g.told&(1<<(inc%8)) == 0:
		c.violated("I4", s, t, p, "event %d was delivered after event %d without a resync between", idx, last)
	}
	if int32(idx) < g.marked && list[g.marked-1].incarnation == inc && int(idx) >= g.floor && h.owed {
		c.violated("I6", s, t, p, "event %d came after it was said that all up to event %d had", idx, g.marked-1)
	}
	*at = int32(idx) + 1
	g.told &^= 1 << (inc % 8)
	if ok && int(idx) == g.floor {
		g.floor++
	}
}

// covered says that an event was called needless.
func (c *checker) covered(s, t, p int, idx uint32) { c.holds[s][t].pubs[p].covered = int32(idx) + 1 }

// bookmark says that all events up to one had come.
func (c *checker) bookmark(s, t, p int, idx int) {
	c.holds[s][t].pubs[p].marked = int32(idx) + 1
}

// resync is a call of a handler with one; p is -1 where nobody knows of whom.
func (c *checker) resync(s, t, p int, gen uint32, why string, ok bool) {
	h := &c.holds[s][t]
	if !h.on || h.gen != gen {
		c.violated("I1", s, t, p, "a resync was told to a handler that doesn't hold the topic")
		return
	}
	now := c.w.cal.now
	// Whoever joins a lossy driver, or before it is connected, may miss what was
	// on its way.
	joined := c.w.plan.lossy && (now-h.since < 5_000 || why == "subscribed" && now-h.since < 70_000) || why == "subscribed" && now < 5_000
	if now >= c.quiet && !joined {
		c.violated("needless", s, t, p, "a resync (%s) was told though nothing had happened for long", why)
	}
	for q := range c.w.plan.pubs {
		g := &h.pubs[q]
		if p < 0 || p == q {
			g.told, g.marked = 0xff, 0
		}
		if ok {
			// What the handler reads now is not older than any of these.
			g.floor = len(c.history[q][t])
		}
	}
}

// overdue looks for events that neither came nor were told of in time.
func (c *checker) overdue() {
	now := c.w.cal.now
	for s := range c.w.plan.subs {
		for t := range c.w.plan.topics {
			h := &c.holds[s][t]
			if !h.owed {
				continue
			}
			for p := range c.w.plan.pubs {
				g := &h.pubs[p]
				if g.floor >= len(c.history[p][t]) {
					continue
				}
				at := c.history[p][t][g.floor].at
				if now < at+c.bound || at < c.fresh && now < c.settled {
					continue
				}
				if int(g.covered) > g.floor {
					c.violated("I7", s, t, p, "event %d, accepted at %.3f s, was called needless, and no resync followed", g.floor, float64(at)/1000)
				} else {
					c.violated("I5", s, t, p, "event %d, accepted at %.3f s, neither came nor was told of", g.floor, float64(at)/1000)
				}
			}
		}
	}
}
