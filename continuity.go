package wyvern

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

const (
	// reorderWindow is how many events of a topic may wait for one that they
	// overtook, on drivers that don't keep the order, and reorderPatience for
	// how long.
	reorderWindow   = 64
	reorderPatience = time.Second
	// maxOpenTopics is for how many topics a subscriber to all of them
	// remembers the numbers.
	maxOpenTopics = 1 << 18
	// deafness is for how long the handler may keep the subscriber from
	// listening before that is allowed for.
	deafness = tracker.BeatInterval / 4
)

// reasons are the tracker's in the words of the API.
var reasons = [...]Reason{
	tracker.Gap:         ReasonGap,
	tracker.Incarnation: ReasonIncarnation,
	tracker.Behind:      ReasonBehind,
	tracker.Lost:        ReasonLost,
	tracker.Subscribed:  ReasonSubscribed,
	tracker.Handler:     ReasonHandler,
	tracker.Malformed:   ReasonMalformed,
}

// notices are the drivers' in the words of the tracker.
var notices = [...]tracker.Reason{
	driver.Confirmed: tracker.Subscribed,
	driver.Behind:    tracker.Behind,
	driver.Restarted: tracker.Incarnation,
	driver.Gone:      tracker.Lost,
	driver.Gap:       tracker.Gap,
}

// continuity is a subscriber's side of its tracker. Only the subscriber's loop
// uses it, but for confirmed.
type continuity struct {
	sub      *Subscriber
	tracker  *tracker.Tracker
	reorders bool // the driver may
	began    time.Time
	now      time.Duration // of what is being handled: when Receive returned

	opened map[string]*tracker.Topic // of a subscriber to all topics
	source *driver.Source            // the last message's
	known  *tracker.Publisher        // who that is

	mu       sync.Mutex
	late     []string        // topics that were confirmed when nobody waited
	wakeable context.Context // of the Receive that is running
	wake     context.CancelFunc
}

func (c *continuity) init(s *Subscriber, caps driver.Capabilities, cfg driver.Config) {
	c.sub, c.began = s, time.Now()
	o := tracker.Options{Held: c.each, Spread: max(0, cfg.ResyncSpread), Lossy: caps.Lossy, Seed: rand.Uint64()}
	if !caps.KeepsTopics() {
		c.reorders = true
		o.Window, o.Patience = reorderWindow, reorderPatience
	}
	if s.beats {
		o.LostAfter = cfg.LostAfter
	}
	c.tracker = tracker.New(o)
	if s.all {
		// What is told about all topics is told about this one too: of others
		// that were never seen only it can speak.
		c.open([]byte(TopicAll))
	}
}

// each calls yield with every topic that the handler gets.
func (c *continuity) each(yield func(*tracker.Topic) bool) {
	more := true
	c.sub.held.each(func(t *tracker.Topic) bool {
		more = yield(t)
		return more
	})
	for _, t := range c.opened {
		if !more {
			return
		}
		more = yield(t)
	}
}

// clock is the time of the tracker: monotonic, so that nobody's setting the
// clock is mistaken for silence.
func (c *continuity) clock() time.Duration { return time.Since(c.began) }

// receive is the half's Receive, which it ends when something is due or was
// confirmed.
func (c *continuity) receive(ctx context.Context, batch []driver.Message) (int, error) {
	if c.sub.beats || c.reorders {
		if d := c.clock() - c.now; d >= deafness {
			c.tracker.Deaf(d)
		}
	}
	c.mu.Lock()
	if c.wakeable == nil || c.wakeable.Err() != nil && ctx.Err() == nil {
		c.wakeable, c.wake = context.WithCancel(ctx)
	}
	ctx = c.wakeable
	if len(c.late) > 0 {
		c.wake()
	}
	c.mu.Unlock()
	if at, some := c.tracker.Next(); some {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.began.Add(at))
		defer cancel()
	}
	return c.sub.half.Receive(ctx, batch)
}

// confirmed notes that a subscription of the handler's came into force. Any
// goroutine may call it.
func (c *continuity) confirmed(topics []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = append(c.late, topics...)
	if c.wake != nil {
		c.wake()
	}
}

// tellDue tells the handler what is due by now.
func (c *continuity) tellDue(ctx context.Context) {
	c.mu.Lock()
	late := c.late
	c.late = nil
	c.mu.Unlock()
	for _, name := range late {
		if t := c.sub.held.find([]byte(name)); t != nil {
			c.tracker.Notice(c.now, t, c.tracker.Publisher("", 0), 0, tracker.Subscribed)
		}
	}
	for !c.sub.stopping.Load() {
		r, ok := c.tracker.Due(c.now)
		if !ok {
			return
		}
		c.sub.tell(ctx, r.Topic, r.Publisher, r.Why)
		c.ready(ctx, r.Topic, r.Publisher)
	}
}

// open returns the topic of a name for a subscriber to all of them. Past the
// bound it forgets all others and takes the first number of each for a gap
// from then on.
func (c *continuity) open(name []byte) *tracker.Topic {
	t := c.opened[string(name)]
	if t != nil {
		return t
	}
	if len(c.opened) >= maxOpenTopics {
		for _, t := range c.opened {
			t.Drop()
		}
		all := tracker.NewTopic(TopicAll)
		c.opened = map[string]*tracker.Topic{TopicAll: all}
		c.tracker.Forgot()
		// A resync of theirs may have been due.
		c.tracker.Notice(c.now, all, c.tracker.Publisher("", 0), 0, tracker.Gap)
		if t = c.opened[string(name)]; t != nil {
			return t
		}
	}
	if c.opened == nil {
		c.opened = make(map[string]*tracker.Topic)
	}
	t = tracker.NewTopic(strings.Clone(string(name)))
	c.opened[t.Name] = t
	return t
}

// publisher returns who sent a message.
func (c *continuity) publisher(src *driver.Source, epoch uint64) *tracker.Publisher {
	if src == nil || src.Publisher == "" {
		return c.tracker.Publisher("", epoch)
	}
	if src != c.source {
		c.source, c.known = src, c.tracker.Publisher(src.Publisher, 0)
	}
	return c.known
}

// event has an event judged, and brings it to the handler if it is to be.
func (c *continuity) event(ctx context.Context, t *tracker.Topic, p *tracker.Publisher, e *Event) {
	var verdict tracker.Verdict
	var why tracker.Reason
	beacon := e.Action == actionBeacon
	if beacon {
		verdict, why = c.tracker.Beacon(c.now, t, p, e.Epoch, e.Seq)
	} else {
		verdict, why = c.tracker.Event(c.now, t, p, e.Epoch, e.Seq)
	}
	switch verdict {
	case tracker.Duplicate:
		if !beacon {
			c.sub.counters.duplicates.Add(1)
		}
		return
	case tracker.Covered:
		if !beacon {
			c.sub.counters.covered.Add(1)
		}
		return
	case tracker.Wait:
		if !beacon {
			c.tracker.Keep(c.now, t, p, e.Seq, *e)
		}
		return
	case tracker.Missing:
		c.sub.tell(ctx, t, p, why)
	}
	if !beacon {
		c.sub.deliver(ctx, t, p, e)
	}
	c.ready(ctx, t, p)
}

// beat notes a publisher's sign of life.
func (c *continuity) beat(m *driver.Message) {
	var f envelope.Fields
	if !c.sub.beats || envelope.Decode(m.Payload, &f) != nil || f.Action != actionBeacon || f.Key == "" {
		c.sub.counters.filtered.Add(1)
		return
	}
	c.tracker.Beat(c.now, c.publisher(m.Source, f.Epoch), tracker.Beat{
		ID: f.Key, Epoch: f.Epoch, Count: f.Seq, Fresh: f.Value == beatFresh, Last: f.Value == beatLast,
	})
}

// ready brings the events to the handler that waited for those before them.
func (c *continuity) ready(ctx context.Context, t *tracker.Topic, p *tracker.Publisher) {
	if !c.reorders {
		return
	}
	for {
		held, ok := c.tracker.Ready(t, p)
		if !ok {
			return
		}
		e := held.(Event)
		c.sub.deliver(ctx, t, p, &e)
	}
}

// again has a resync told again on which the handler failed.
func (c *continuity) again(t *tracker.Topic, p *tracker.Publisher, why tracker.Reason) {
	c.tracker.Again(c.now, tracker.Resync{Topic: t, Publisher: p, Why: why})
}

// notice notes what the driver knows.
func (c *continuity) notice(m *driver.Message) {
	var t *tracker.Topic
	if len(m.Topic) > 0 {
		if t = c.sub.held.find(m.Topic); t == nil {
			t = c.opened[string(m.Topic)]
		}
		if t == nil {
			return // not held, or no longer
		}
	}
	epoch := uint64(0)
	if m.Source != nil {
		epoch = m.Source.Epoch
	}
	if int(m.Notice) < len(notices) {
		c.tracker.Notice(c.now, t, c.publisher(m.Source, epoch), epoch, notices[m.Notice])
	}
}
