package validator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Params say how strict a Checker is.
type Params struct {
	// Within is how long an event may take until it is seen or covered, after
	// it was accepted and after the last fault that concerns it.
	Within time.Duration
	// Queue is how long an event may wait in its worker, after it was accepted and
	// after the last fault of the worker or its service. Killed later, the worker
	// takes nothing along.
	Queue time.Duration
	// Lag is how much of what a process did last may be missing in its log when
	// it was killed.
	Lag time.Duration
	// All is the topic whose resync covers every topic.
	All string
	// Explain, if set, is what a resync has to be explained by.
	Explain *Explain
}

// key names an event by its worker.
type key struct {
	worker, topic string
	n             uint64
}

// series names the events of one worker on one topic.
type series struct{ worker, topic string }

// accepted is an event that a worker's Publish accepted.
type accepted struct {
	key
	publisher  string
	begin, end int64
	sum        uint32
	settled    bool // for every session that there was
	judged     bool // by an earlier Check; it may still come where a resync covered it
}

// Checker checks a log, piece by piece. What was checked and can't matter any
// more is forgotten, so that a run may last for days.
type Checker struct {
	params   Params
	sessions map[string]*session
	accepts  map[key]*accepted
	faults   faults
	killed   map[string]int64  // workers, and when
	belongs  map[string]string // workers, and to which publisher
	reached  map[series]uint64 // the last that any session saw
	counts   map[series]uint64 // the last that was accepted
	names    map[string]string // every text once
	result   *Result
}

// New returns a Checker that knows nothing yet.
func New(p Params) *Checker {
	return &Checker{
		params:   p,
		sessions: make(map[string]*session),
		accepts:  make(map[key]*accepted),
		killed:   make(map[string]int64),
		belongs:  make(map[string]string),
		reached:  make(map[series]uint64),
		counts:   make(map[series]uint64),
		names:    make(map[string]string),
		result:   &Result{},
	}
}

// name returns the one copy of a text that is kept.
func (c *Checker) name(s string) string {
	if known, ok := c.names[s]; ok {
		return known
	}
	c.names[s] = s
	return s
}

// Add takes the next record.
func (c *Checker) Add(r Record) {
	for _, s := range []*string{&r.Session, &r.Node, &r.Publisher, &r.Topic, &r.Reason, &r.Worker} {
		*s = c.name(*s)
	}
	switch r.Kind {
	case KindAccept:
		c.accept(&r)
	case KindKilled:
		if r.Worker != "" {
			c.killed[r.Worker] = r.At
		} else if s := c.session(&r); s != nil {
			s.ended, s.killed = r.At, true
		}
	case KindOpen:
		if c.sessions[r.Session] != nil {
			c.broken(&r, "the session was opened before")
		}
		s := newSession(c, r.Session, cmp.Or(r.Node, r.Session))
		s.unnumbered = r.Unnumbered
		c.sessions[r.Session] = s
	case KindFault:
		c.faults.add(&fault{r.Fault, r.At, r.End, r.On, r.Confirmed, r.Proof})
	case KindCount:
		k := series{r.Worker, r.Topic}
		if r.Session == "" {
			c.reached[k] = max(c.reached[k], r.N)
		} else if s := c.session(&r); s != nil {
			s.counts[k] = r.N
		}
	case KindCheck: // is for who calls Check
	default:
		if s := c.session(&r); s != nil {
			s.add(&r)
		}
	}
}

// session returns the session of a record.
func (c *Checker) session(r *Record) *session {
	s := c.sessions[r.Session]
	if s == nil {
		c.broken(r, "the session was not opened")
	}
	return s
}

// broken notes that the log can't be true.
func (c *Checker) broken(r *Record, why string) {
	c.result.add(Violation{Log, r.Session, r.Topic, r.At, fmt.Sprintf("%s: %s", r.Kind, why)})
}

func (c *Checker) accept(r *Record) {
	k := key{r.Worker, r.Topic, r.N}
	of := series{r.Worker, r.Topic}
	if c.counts[of] >= r.N {
		c.broken(r, fmt.Sprintf("event %d of worker %s accepted after %d", r.N, r.Worker, c.counts[of]))
	}
	c.counts[of] = r.N
	c.belongs[r.Worker] = r.Publisher
	c.accepts[k] = &accepted{key: k, publisher: r.Publisher, begin: r.At, end: r.End, sum: r.Sum}
	c.result.Accepted++
}

// Check judges everything up to now, returns what it found since the last time
// and forgets what is settled. What is not yet due at now is left to the next
// Check.
func (c *Checker) Check(now time.Duration) *Result {
	sessions := slices.SortedFunc(maps.Values(c.sessions), func(a, b *session) int { return cmp.Compare(a.name, b.name) })
	for _, s := range sessions {
		s.order()
	}
	for _, s := range sessions {
		s.prove(int64(now))
		if c.params.Explain != nil {
			s.explain()
		}
	}
	c.owe(int64(now), sessions)
	c.forget(int64(now))
	r := c.result
	c.result = &Result{}
	return r
}

// forget drops what can't matter any more.
func (c *Checker) forget(now int64) {
	oldest := now
	for k, a := range c.accepts {
		if !a.settled {
			oldest = min(oldest, a.begin)
		} else if a.judged = true; now-a.end > int64(c.memory()) {
			delete(c.accepts, k)
		}
	}
	for name, s := range c.sessions {
		if s.ended != 0 {
			delete(c.sessions, name)
			continue
		}
		s.forget(oldest)
	}
	c.faults = c.faults.since(oldest - int64(c.memory()))
	for worker, at := range c.killed {
		if at < oldest-int64(c.memory()) {
			delete(c.killed, worker)
			delete(c.belongs, worker)
			dead := func(k series, _ uint64) bool { return k.worker == worker }
			maps.DeleteFunc(c.reached, dead)
			maps.DeleteFunc(c.counts, dead)
			for _, s := range c.sessions {
				maps.DeleteFunc(s.counts, dead)
			}
		}
	}
}

// memory is for how long a fault matters after its end.
func (c *Checker) memory() time.Duration {
	d := 2*c.params.Within + c.params.Lag
	if e := c.params.Explain; e != nil {
		d = max(d, e.Window)
	}
	return d
}
