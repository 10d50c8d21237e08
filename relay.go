package wyvern

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// drainTimeout is after how much silence the source counts as empty, for
// drivers that can't tell.
const drainTimeout = 100 * time.Millisecond

// Relay moves events from the receiving half of one driver to a [Publisher],
// which numbers them anew. It decodes no more of them than that needs.
//
// A message that it can't move harms nobody: it is counted and logged at a
// bounded rate, and the holders of its topic are told by a `sync` event on that
// topic, at most one per topic and second; more are deferred, not dropped. It
// remembers up to 1024 topics for that. Past them the `sync` goes to everybody,
// on TopicAll: better told too much than not. So it does where the broker does not
// let us publish on the message's topic, as nothing can reach those who hold it.
type Relay struct {
	half      driver.Subscriber
	name      string // of the driver
	publisher *Publisher
	log       *slog.Logger

	drained atomic.Bool

	mu     sync.Mutex
	closed bool
	stop   context.CancelFunc // ends Run; nil: it isn't running
	wake   context.CancelFunc // ends the Receive that began before Drain
	idle   chan struct{}      // closed when Run has returned
	close  func() error       // closes the half, once

	// Only Run uses these.
	batch []driver.Message
	retry backoff.Backoff
	syncs syncs
	// hopeless: a sync was refused the last time.
	hopeless bool

	counters struct {
		events, bytes, malformed, tooLarge, badTopics, refused, syncs, abandoned, workersLost atomic.Uint64
		pending                                                                               atomic.Int64
	}
	rejectLog, retryLog lograte.Limiter
}

// RelayStats are counters, which only rise, and Pending.
type RelayStats struct {
	// Events were moved.
	Events uint64
	// Malformed, TooLarge and BadTopics were not, nor were Refused, by the broker.
	Malformed, TooLarge, BadTopics, Refused uint64
	// Abandoned were received, but Run was ended before they were accepted.
	Abandoned uint64
	// WorkersLost is how often a worker went with events in its hands.
	WorkersLost uint64
	// Syncs were published to tell of Malformed, TooLarge, Refused and
	// WorkersLost.
	Syncs uint64
	// Pending is how many of those are due or deferred.
	Pending int
}

func newRelay(half driver.Subscriber, name string, cfg driver.Config, p *Publisher) *Relay {
	return &Relay{
		half: half, name: name, publisher: p, log: cfg.Log,
		batch: make([]driver.Message, maxBatch),
		retry: backoff.Backoff{Min: 10 * time.Millisecond, Max: time.Second},
		close: sync.OnceValue(half.Close),
	}
}

// Run moves events until ctx ends, which is then the error, or, after Drain,
// until the source is empty, when it returns nil. What was received and not yet
// accepted when ctx ends is lost, logged and counted. One call at a time.
func (r *Relay) Run(ctx context.Context) error {
	ctx, wakeable, err := r.begin(ctx)
	if err == nil {
		defer r.end()
		err = r.run(ctx, wakeable)
	}
	return wrap("relay", r.name, "", err)
}

func (r *Relay) begin(ctx context.Context) (run, wakeable context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, ErrClosed
	case r.stop != nil:
		return nil, nil, errors.New("the relay is running already")
	}
	ctx, r.stop = context.WithCancel(ctx)
	wakeable, r.wake = context.WithCancel(ctx)
	r.idle = make(chan struct{})
	return ctx, wakeable, nil
}

func (r *Relay) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.wake()
	r.stop, r.wake = nil, nil
	close(r.idle)
}

// Drain refuses new peers and tells those that are connected to stop. Run goes
// on until what they had sent is moved. Where the driver can't drain, Run ends
// when nothing has come for a tenth of a second.
func (r *Relay) Drain() {
	if d, ok := r.half.(driver.Drainer); ok {
		d.Drain()
		return
	}
	r.drained.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake != nil {
		r.wake()
	}
}

// Close stops at once, waits for Run, and closes the source but not the
// publisher. It is idempotent.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	if r.stop != nil {
		r.stop()
	}
	idle := r.idle
	r.mu.Unlock()
	// The messages that Run reads are the driver's until its half is closed.
	if idle != nil {
		<-idle
	}
	return wrap("close relay", r.name, "", r.close())
}

// Addr returns where the source can be reached, or nil if its driver doesn't
// bind.
func (r *Relay) Addr() net.Addr {
	if b, ok := r.half.(driver.Bound); ok {
		return b.Addr()
	}
	return nil
}

// Status returns what the source's driver knows of itself, or else what was
// counted here.
func (r *Relay) Status() driver.Status {
	if s, ok := r.half.(driver.Statuser); ok {
		return s.Status()
	}
	c := &r.counters
	return driver.Status{
		Messages:  c.events.Load(),
		Bytes:     c.bytes.Load(),
		Malformed: c.malformed.Load() + c.tooLarge.Load() + c.badTopics.Load() + c.refused.Load(),
	}
}

// Stats returns what was counted so far.
func (r *Relay) Stats() RelayStats {
	c := &r.counters
	return RelayStats{
		Events: c.events.Load(), Malformed: c.malformed.Load(), TooLarge: c.tooLarge.Load(),
		BadTopics: c.badTopics.Load(), Refused: c.refused.Load(), Abandoned: c.abandoned.Load(), Syncs: c.syncs.Load(), WorkersLost: c.workersLost.Load(),
		Pending: int(c.pending.Load()),
	}
}

func (r *Relay) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// run is Run. wakeable ends with ctx, or when a Drain must be noticed.
func (r *Relay) run(ctx, wakeable context.Context) error {
	for {
		n, err := r.receive(ctx, wakeable)
		if n > 0 {
			if err := r.move(ctx, r.batch[:n]); err != nil {
				return r.ending(err)
			}
			clear(r.batch[:n])
		}
		switch {
		case err == nil:
			r.retry.Reset()
		case ctx.Err() != nil:
			return r.ending(ctx.Err())
		case errors.Is(err, io.EOF):
			return r.ending(r.tellAll(ctx))
		case errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
			// Our own: a sync is due, or Drain was called.
		default:
			// Not what a driver should return, and no reason to stop.
			r.retryLog.Warn(r.log, "receive", "driver", r.name, "error", err)
			pause(ctx, r.retry.Next())
		}
		if err := r.tell(ctx, time.Now()); err != nil {
			return r.ending(err)
		}
	}
}

// ending returns what Run does because of err.
func (r *Relay) ending(err error) error {
	if err != nil && r.isClosed() {
		return ErrClosed
	}
	return err
}

// receive is the half's Receive, which it ends in time for the next sync.
func (r *Relay) receive(ctx, wakeable context.Context) (int, error) {
	if r.drained.Load() {
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		n, err := r.half.Receive(ctx, r.batch)
		if n == 0 && errors.Is(err, context.DeadlineExceeded) {
			err = io.EOF
		}
		return n, err
	}
	if next, some := r.syncs.next(); some {
		ctx, cancel := context.WithDeadline(wakeable, next)
		defer cancel()
		return r.half.Receive(ctx, r.batch)
	}
	return r.half.Receive(wakeable, r.batch)
}

// move hands messages to the publisher, again and again until it has accepted
// or refused each.
func (r *Relay) move(ctx context.Context, msgs []driver.Message) error {
	for len(msgs) > 0 {
		if msgs[0].Notice != driver.NoNotice {
			r.notice(&msgs[0])
			msgs = msgs[1:]
			continue
		}
		whole := msgs
		if i := slices.IndexFunc(msgs, isNotice); i > 0 {
			whole = msgs[:i]
		}
		n, behind, bad, err := r.publisher.forward(ctx, whole)
		r.count(msgs[:n])
		msgs = msgs[n:]
		switch {
		case bad != nil && plant.On(plant.LoopEnds):
			return bad
		case bad != nil:
			r.reject(&msgs[0], bad)
			r.count(msgs[1 : 1+behind])
			msgs = msgs[1+behind:]
		case err == nil:
			r.retry.Reset()
		case ctx.Err() != nil || errors.Is(err, ErrClosed):
			r.counters.abandoned.Add(uint64(len(msgs)))
			r.log.Warn("relay ended with events in hand", "driver", r.name, "events", len(msgs), "error", err)
			return err
		default:
			r.retryLog.Warn(r.log, "publish; trying again", "driver", r.name, "error", err)
			pause(ctx, r.retry.Next())
		}
	}
	return nil
}

// count counts messages that were moved.
func (r *Relay) count(msgs []driver.Message) {
	bytes := 0
	for i := range msgs {
		bytes += len(msgs[i].Payload)
	}
	r.counters.events.Add(uint64(len(msgs)))
	r.counters.bytes.Add(uint64(bytes))
}

func isNotice(m driver.Message) bool { return m.Notice != driver.NoNotice }

// notice is called when the driver knows that something of a worker was lost:
// whoever holds the topic is told, or everybody, where that is not known.
func (r *Relay) notice(m *driver.Message) {
	if m.Notice == driver.Confirmed {
		return
	}
	topic := m.Topic
	if len(topic) == 0 {
		topic = []byte(TopicAll)
	}
	r.counters.workersLost.Add(1)
	r.syncs.want(topic, time.Now())
	r.counters.pending.Store(int64(r.syncs.pending))
}

// reject is called for a message that can't be moved.
func (r *Relay) reject(m *driver.Message, err error) {
	r.rejectLog.Warn(r.log, "event refused", "driver", r.name, "source", address(m.Source),
		"topic", fmt.Sprintf("%.64q", m.Topic), "error", err)
	topic := m.Topic
	switch {
	case errors.Is(err, errTopic) || !validTopic(m.Topic):
		r.counters.badTopics.Add(1)
		return
	case errors.Is(err, ErrTooLarge):
		r.counters.tooLarge.Add(1)
	case errors.Is(err, ErrRefused):
		// So would a sync of that topic be. One to everybody is tried again until
		// it is taken, whatever the topic was.
		r.counters.refused.Add(1)
		topic = []byte(TopicAll)
	default:
		r.counters.malformed.Add(1)
	}
	r.syncs.want(topic, time.Now())
	r.counters.pending.Store(int64(r.syncs.pending))
}

// tell publishes the syncs that are due. Those that can't be stay, and hopeless
// says that the broker refuses one.
func (r *Relay) tell(ctx context.Context, now time.Time) error {
	if r.syncs.pending == 0 {
		return nil
	}
	defer func() { r.counters.pending.Store(int64(r.syncs.pending)) }()
	r.hopeless = false
	due := r.syncs.take(now)
	for i, topic := range due {
		err := r.publisher.tellSync(ctx, topic)
		switch {
		case err == nil:
			r.counters.syncs.Add(1)
		case ctx.Err() != nil || errors.Is(err, ErrClosed):
			for _, topic := range due[i:] {
				r.syncs.again(topic)
			}
			return err
		default:
			r.hopeless = r.hopeless || errors.Is(err, ErrRefused)
			r.syncs.again(topic)
			r.retryLog.Warn(r.log, "publish a sync; trying again", "driver", r.name, "topic", topic, "error", err)
		}
	}
	return nil
}

// tellAll publishes all syncs, those too that are deferred: nothing comes after
// them. What the broker refuses is not waited for.
func (r *Relay) tellAll(ctx context.Context) error {
	for r.hopeless = false; r.syncs.pending > 0 && !r.hopeless; {
		if err := r.tell(ctx, time.Now().Add(syncInterval)); err != nil {
			return err
		}
		if r.syncs.pending > 0 {
			pause(ctx, r.retry.Next())
		}
	}
	return nil
}
