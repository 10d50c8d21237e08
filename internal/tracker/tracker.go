package tracker

import (
	"iter"
	"math/rand/v2"
	"time"
)

// Reason says why something is to be resynced.
type Reason uint8

// The reasons.
const (
	NoReason    Reason = iota
	Gap                // numbers are missing
	Incarnation        // the publisher is another incarnation
	Behind             // no longer retained
	Lost               // the publisher gives no sign of life
	Subscribed         // the subscription came into force late
	Handler            // the handler failed
	Malformed          // an event could not be understood
	reasons
)

// Options are a Tracker's. The zero value is for drivers that keep the order
// and never lose without a notice.
type Options struct {
	// Held returns the topics that are held now.
	Held iter.Seq[*Topic]
	// Spread is the window in which resyncs of many topics are told, at random
	// moments.
	Spread time.Duration
	// Lossy: the first number seen of a topic proves nothing about those
	// before it.
	Lossy bool
	// Window is how many events of a topic may wait for one that was
	// overtaken, and Patience for how long. 0: the driver keeps the order.
	Window   int
	Patience time.Duration
	// Seed is of the random moments.
	Seed uint64
}

// maxPublishers bounds the publishers that are known by incarnation only.
const maxPublishers = 1024

// Tracker is the state of one subscriber session.
type Tracker struct {
	opts       Options
	rand       *rand.Rand
	publishers map[string]*Publisher
	nameless   map[uint64]*Publisher // by epoch
	agenda     agenda
}

// New returns a Tracker that has seen nothing.
func New(o Options) *Tracker {
	if o.Held == nil {
		o.Held = func(func(*Topic) bool) {}
	}
	return &Tracker{
		opts:       o,
		rand:       rand.New(rand.NewPCG(o.Seed, 0)),
		publishers: make(map[string]*Publisher),
		nameless:   make(map[uint64]*Publisher),
	}
}

// Publisher returns the publisher of an identity, or, where the driver doesn't
// know that, of an epoch.
func (tr *Tracker) Publisher(id string, epoch uint64) *Publisher {
	if id == "" && epoch != 0 {
		p := tr.nameless[epoch]
		if p == nil {
			if len(tr.nameless) >= maxPublishers {
				clear(tr.nameless) // they are told as unknown ones again
			}
			p = &Publisher{}
			tr.nameless[epoch] = p
		}
		return p
	}
	p := tr.publishers[id]
	if p == nil {
		p = &Publisher{ID: id}
		tr.publishers[id] = p
	}
	return p
}

// soon is a random moment within the spread window.
func (tr *Tracker) soon(now time.Duration) time.Duration {
	if tr.opts.Spread <= 0 {
		return now
	}
	return now + time.Duration(tr.rand.Int64N(int64(tr.opts.Spread)))
}

// Forgot says that numbers of topics were lost on this side: from here on the
// first one seen of a topic proves nothing.
func (tr *Tracker) Forgot() { tr.opts.Lossy = true }
