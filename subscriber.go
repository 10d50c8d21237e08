package wyvern

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// Subscriber receives events from a driver and calls a handler with those of
// the topics that it holds, one at a time.
//
// All methods may be called by any goroutine, the handler's included. Called by
// the handler they wait for nothing that would have to wait for the handler:
// see each.
type Subscriber struct {
	half    driver.Subscriber
	name    string // of the driver
	handler func(context.Context, Event) error
	all     bool // every topic
	beats   bool // publishers say that they live; the driver doesn't
	log     *slog.Logger

	held topics // find needs no lock
	// mu guards changes of held, and of what the driver holds where one must
	// not overtake the other. Events don't need it.
	mu sync.Mutex

	stopping      atomic.Bool
	stopReceive   context.CancelFunc
	cancelHandler context.CancelFunc
	loop          string         // the goroutine that receives and handles
	asides        sync.WaitGroup // what the handler started
	done          chan struct{}  // closed when all of it has ended
	closeErr      error          // set before done is closed

	calls calls

	continuity continuity

	// resynced are the topics that the handler was told to resync since the
	// last Receive. Only the loop uses it.
	resynced map[string]struct{}

	counters struct {
		events, filtered, malformed, badTopics, errs, panics, resyncs, bytes, duplicates, covered atomic.Uint64
	}
	malformedLog, topicLog, handlerLog, receiveLog lograte.Limiter
}

// SubscriberStats are counters; they only rise.
type SubscriberStats struct {
	// Events is how often the handler was called with an event that was
	// received, Resyncs how often with one that says that something was not.
	Events, Resyncs uint64
	// Filtered were received but not held.
	Filtered uint64
	// Malformed had a body that was not understood, BadTopics a topic.
	Malformed, BadTopics uint64
	// HandlerErrors and HandlerPanics count calls that ended so.
	HandlerErrors, HandlerPanics uint64
	// Duplicates came a second time, Covered were made needless by a resync
	// that was about to be told. Neither reached the handler.
	Duplicates, Covered uint64
}

func newSubscriber(half driver.Subscriber, name string, caps driver.Capabilities, cfg driver.Config, handler func(context.Context, Event) error) *Subscriber {
	s := &Subscriber{
		half: half, name: name, handler: handler, all: cfg.AllTopics, log: cfg.Log,
		done:     make(chan struct{}),
		resynced: make(map[string]struct{}),
	}
	s.beats = !caps.Liveness && !cfg.AllTopics
	s.held.init()
	s.continuity.init(s, caps, cfg)
	return s
}

// start begins to receive.
func (s *Subscriber) start() {
	handlerCtx, cancelHandler := context.WithCancel(context.Background())
	receiveCtx, stopReceive := context.WithCancel(handlerCtx)
	s.cancelHandler, s.stopReceive = cancelHandler, stopReceive
	started := make(chan struct{})
	go func() {
		s.loop = goroutineID()
		close(started)
		defer s.end()
		s.run(receiveCtx, handlerCtx)
	}()
	<-started
}

// Subscribe adds topics, exact names. Where the driver can tell, it blocks
// until every publisher that is connected now has confirmed, or ctx ends: the
// handler is called with whatever is published from then on. When it fails, the
// topics are held all the same, but perhaps not by every publisher: subscribe
// again, or unsubscribe.
//
// Called by the handler it does not wait for the confirmation, which may be
// queued behind events: the handler is then told to resync the topics, with
// [ReasonSubscribed], once it has come.
func (s *Subscriber) Subscribe(ctx context.Context, topics ...string) error {
	if err := s.checkTopics(topics); err != nil {
		return s.wrap("subscribe", topics, err)
	}
	s.mu.Lock()
	for _, name := range topics {
		s.held.add(strings.Clone(name))
	}
	s.mu.Unlock()
	if s.inHandler() {
		ctx, topics := context.WithoutCancel(ctx), slices.Clone(topics)
		s.asides.Go(func() {
			switch err := s.subscribe(ctx, topics); {
			case err == nil:
				s.continuity.confirmed(topics)
			case !errors.Is(err, ErrClosed):
				s.receiveLog.Warn(s.log, "subscribe for a handler", "topics", topics, "error", err)
			}
		})
		return nil
	}
	return s.wrap("subscribe", topics, s.subscribe(ctx, topics))
}

// subscribe tells the driver. The lock is not held meanwhile: it may take long.
// If a topic was dropped in between, the driver may have heard that first, so
// it is told again.
func (s *Subscriber) subscribe(ctx context.Context, topics []string) error {
	err := s.half.Subscribe(ctx, topics...)
	s.mu.Lock()
	defer s.mu.Unlock()
	var dropped []string
	for _, name := range topics {
		if s.held.find([]byte(name)) == nil {
			dropped = append(dropped, name)
		}
	}
	if dropped != nil {
		err = errors.Join(err, s.half.Unsubscribe(ctx, dropped...))
	}
	return err
}

// Unsubscribe removes topics. When it has returned, the handler is not called
// with events of them any more: it waits for a call that is running, until ctx
// ends. Called by the handler it does not wait.
func (s *Subscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	if err := s.checkTopics(topics); err != nil {
		return s.wrap("unsubscribe", topics, err)
	}
	// The driver is told under the lock, or it could hear of a later Subscribe
	// first. It doesn't wait for peers.
	s.mu.Lock()
	for _, name := range topics {
		s.held.drop(name)
	}
	err := s.half.Unsubscribe(ctx, topics...)
	s.mu.Unlock()
	if !s.inHandler() {
		for _, name := range topics {
			if waitErr := s.calls.wait(ctx, name); waitErr != nil && err == nil {
				err = waitErr
			}
		}
	}
	return s.wrap("unsubscribe", topics, err)
}

func (s *Subscriber) checkTopics(topics []string) error {
	if s.stopping.Load() {
		return ErrClosed
	}
	for _, name := range topics {
		if err := checkTopic(name); err != nil {
			return err
		}
		if name == topicBeats {
			return fmt.Errorf("%w: the topic %q is reserved", ErrInvalidEvent, name)
		}
	}
	return nil
}

// wrap wraps err, with the topic if it is about one.
func (s *Subscriber) wrap(op string, topics []string, err error) error {
	name := ""
	if len(topics) == 1 {
		name = topics[0]
	}
	return wrap(op, s.name, name, err)
}

// Connect adds a publisher, by URI. It does not wait: the driver connects in
// the background, and again whenever the connection is lost. Drivers whose
// publishers are not reached one by one return ErrNotSupported.
func (s *Subscriber) Connect(uri string) error {
	c, ok := s.half.(driver.Connector)
	if !ok {
		return wrap("connect", s.name, "", ErrNotSupported)
	}
	return wrap("connect", s.name, "", c.Connect(uri))
}

// Disconnect removes a publisher.
func (s *Subscriber) Disconnect(uri string) error {
	c, ok := s.half.(driver.Connector)
	if !ok {
		return wrap("disconnect", s.name, "", ErrNotSupported)
	}
	return wrap("disconnect", s.name, "", c.Disconnect(uri))
}

// Await blocks until every publisher is connected and has confirmed every topic
// held, or ctx ends. Drivers that can't tell return ErrNotSupported. Don't call
// it from the handler: the confirmation may be queued behind events.
func (s *Subscriber) Await(ctx context.Context) error {
	a, ok := s.half.(driver.Awaiter)
	if !ok {
		return wrap("await", s.name, "", ErrNotSupported)
	}
	return wrap("await", s.name, "", a.Await(ctx))
}

// Status returns what the driver knows of itself, or else what was counted
// here.
func (s *Subscriber) Status() driver.Status {
	if st, ok := s.half.(driver.Statuser); ok {
		return st.Status()
	}
	c := &s.counters
	return driver.Status{
		Messages:  c.events.Load(),
		Bytes:     c.bytes.Load(),
		Malformed: c.malformed.Load() + c.badTopics.Load(),
	}
}

// Stats returns what was counted so far.
func (s *Subscriber) Stats() SubscriberStats {
	c := &s.counters
	return SubscriberStats{
		Events: c.events.Load(), Resyncs: c.resyncs.Load(), Filtered: c.filtered.Load(),
		Malformed: c.malformed.Load(), BadTopics: c.badTopics.Load(),
		HandlerErrors: c.errs.Load(), HandlerPanics: c.panics.Load(),
		Duplicates: c.duplicates.Load(), Covered: c.covered.Load(),
	}
}

// Done is closed when the subscriber has ended: closed, or because its driver
// did.
func (s *Subscriber) Done() <-chan struct{} { return s.done }

// Shutdown stops receiving and lets the handler finish the call that is
// running; when ctx ends before that, it cancels the handler's context and
// returns. Called by the handler it does not wait.
func (s *Subscriber) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	s.stopReceive()
	if s.inHandler() {
		return nil
	}
	select {
	case <-s.done:
		return wrap("shut down subscriber", s.name, "", s.closeErr)
	case <-ctx.Done():
		s.cancelHandler()
		return wrap("shut down subscriber", s.name, "", ctx.Err())
	}
}

// Close stops at once: it cancels the handler's context and waits for its
// return. It is idempotent. Called by the handler it does not wait.
func (s *Subscriber) Close() error {
	s.stopping.Store(true)
	s.cancelHandler()
	if s.inHandler() {
		return nil
	}
	<-s.done
	return wrap("close subscriber", s.name, "", s.closeErr)
}

func (s *Subscriber) inHandler() bool { return goroutineID() == s.loop }

// end releases everything. The half is closed here, by the loop itself, because
// the messages that it reads are the driver's until then.
func (s *Subscriber) end() {
	s.stopping.Store(true)
	s.cancelHandler()
	s.calls.end()
	s.closeErr = s.half.Close()
	s.asides.Wait()
	close(s.done)
}

// run receives until ctx or the driver ends.
func (s *Subscriber) run(ctx, handlerCtx context.Context) {
	batch := make([]driver.Message, maxBatch)
	retry := backoff.Backoff{Min: 10 * time.Millisecond, Max: time.Second}
	for {
		n, err := s.continuity.receive(ctx, batch)
		clear(s.resynced)
		s.continuity.now = s.continuity.clock()
		for i := range batch[:n] {
			if s.stopping.Load() {
				return
			}
			s.take(handlerCtx, &batch[i])
		}
		s.continuity.tellDue(handlerCtx)
		switch {
		case err == nil:
			retry.Reset()
		case ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, io.EOF):
			return
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
			// Our own: a resync is due, or a subscription was confirmed.
		default:
			// Not what a driver should return, and no reason to go deaf.
			s.receiveLog.Warn(s.log, "receive", "driver", s.name, "error", err)
			if !pause(ctx, retry.Next()) {
				return
			}
		}
	}
}

// pause waits for d and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take brings one message to the handler, if it is held and can be understood.
func (s *Subscriber) take(ctx context.Context, m *driver.Message) {
	if m.Notice != driver.NoNotice {
		s.continuity.notice(m)
		return
	}
	t := s.held.find(m.Topic)
	if t == nil {
		if string(m.Topic) == topicBeats {
			s.continuity.beat(m)
			return
		}
		if !validTopic(m.Topic) {
			s.counters.badTopics.Add(1)
			s.topicLog.Warn(s.log, "event with a bad topic", "driver", s.name, "source", address(m.Source),
				"topic", fmt.Sprintf("%.64q", m.Topic))
			return
		}
		if !s.all {
			s.counters.filtered.Add(1)
			return
		}
		t = s.continuity.open(m.Topic)
	}
	var f envelope.Fields
	if err := envelope.Decode(m.Payload, &f); err != nil {
		s.counters.malformed.Add(1)
		s.malformedLog.Warn(s.log, "malformed event", "driver", s.name, "source", address(m.Source),
			"topic", string(m.Topic), "error", err)
		s.resync(ctx, t, s.continuity.publisher(m.Source, 0), tracker.Malformed)
		return
	}
	var e Event
	e.setFields(&f, t.Name)
	p := s.continuity.publisher(m.Source, e.Epoch)
	e.Publisher = p.ID // which a beat may have told, where the driver doesn't
	s.counters.bytes.Add(uint64(len(m.Payload)))
	s.continuity.event(ctx, t, p, &e)
}

// deliver calls the handler with an event. One on which it fails is to be
// resynced.
func (s *Subscriber) deliver(ctx context.Context, t *tracker.Topic, p *tracker.Publisher, e *Event) {
	if s.handle(ctx, t, e, &s.counters.events) {
		return
	}
	if e.Action == ActionSync {
		s.continuity.again(t, p, tracker.Handler)
		return
	}
	s.resync(ctx, t, p, tracker.Handler)
}

// resync tells the handler to resync a topic: at most once for everything that
// came from one Receive, because what it reads from the database then is not
// older than any of that.
func (s *Subscriber) resync(ctx context.Context, t *tracker.Topic, p *tracker.Publisher, why tracker.Reason) {
	if _, told := s.resynced[t.Name]; told {
		return
	}
	if s.tell(ctx, t, p, why) {
		s.resynced[t.Name] = struct{}{}
	}
}

// tell tells the handler to resync a topic. When the handler fails on that, it
// is told again later, and again, until it doesn't.
func (s *Subscriber) tell(ctx context.Context, t *tracker.Topic, p *tracker.Publisher, why tracker.Reason) bool {
	e := Event{Action: ActionSync, Topic: t.Name, Publisher: p.ID, Reason: reasons[why]}
	if s.handle(ctx, t, &e, &s.counters.resyncs) {
		s.continuity.tracker.Told(t, p)
		return true
	}
	s.continuity.again(t, p, why)
	return false
}

// handle calls the handler, unless the topic was dropped meanwhile. It returns
// false when the handler failed.
func (s *Subscriber) handle(ctx context.Context, t *tracker.Topic, e *Event, count *atomic.Uint64) bool {
	s.calls.begin(t)
	if t.Dropped() {
		s.calls.end()
		s.counters.filtered.Add(1)
		return true
	}
	count.Add(1)
	stack, err := s.call(ctx, e)
	s.calls.end()
	if err == nil {
		return true
	}
	if stack != nil {
		s.counters.panics.Add(1)
	} else {
		s.counters.errs.Add(1)
	}
	args := []any{"driver", s.name, "topic", e.Topic, "action", e.Action, "table", e.Table, "key", e.Key, "error", err}
	if stack != nil {
		args = append(args, "stack", string(stack))
	}
	s.handlerLog.Warn(s.log, "handler failed", args...)
	return false
}

// call calls the handler. After a panic it returns the stack.
func (s *Subscriber) call(ctx context.Context, e *Event) (stack []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			stack, err = debug.Stack(), fmt.Errorf("panic: %v", r)
		}
	}()
	return nil, s.handler(ctx, *e)
}

// address returns where a message came from, for people.
func address(s *driver.Source) string {
	if s == nil {
		return "unknown"
	}
	return s.Address
}
