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
	// LostAfter is after how much silence a publisher counts as lost, by its
	// beats. 0: the driver notices that itself.
	LostAfter time.Duration
	// Seed is of the random moments.
	Seed uint64
}

// Tracker is the state of one subscriber session.
type Tracker struct {
	opts       Options
	rand       *rand.Rand
	publishers map[string]*Publisher
	nameless   map[uint64]*Publisher // by epoch
	named      map[string]named      // of the nameless, by what their beats say
	hearts     []*Publisher          // that are listened for
	agenda     agenda
	latest     map[string]*Topic // of each name
	sweepAt    int               // when dropped ones are forgotten
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
		latest:     make(map[string]*Topic),
		nameless:   make(map[uint64]*Publisher),
		named:      make(map[string]named),
	}
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
