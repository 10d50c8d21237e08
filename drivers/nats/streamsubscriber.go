package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"

	client "github.com/nats-io/nats.go"
)

// maxFilters is how many topics are selected by the server. Who holds more gets
// everything and selects itself: the server compares each filter with each.
const maxFilters = 1000

// streamSubscriber implements driver.Subscriber, Awaiter and Statuser on a
// stream. One goroutine follows the stream by a consumer of its own, from the
// last message that was received on.
type streamSubscriber struct {
	settings *settings
	link     *link
	store    *store
	inbox    *inbox
	source   *driver.Source
	all      bool
	done     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	held    map[string]*holding // topics by subject
	wanted  uint64              // rises with each change of held
	inForce uint64              // the wanted that the consumer has
	late    map[string]struct{} // subjects whose Subscribe gave up waiting
	failure error               // why nothing is in force
	changed chan struct{}       // closed when any of these changes
	edited  chan struct{}       // one when held has changed
}

// holding is a topic that is held.
type holding struct {
	topic []byte
	// from is the place in the stream behind which the topic is received:
	// where it stood when the topic was taken. fresh: not known yet.
	from  uint64
	fresh bool
}

func openStreamSubscriber(ctx context.Context, l *link) (driver.Subscriber, error) {
	s := &streamSubscriber{
		settings: l.settings, link: l, store: newStore(l.settings), inbox: newInbox(l.settings.inbox),
		source: &driver.Source{Address: strings.Join(redacted(l.options.Servers), ",")},
		all:    l.settings.cfg.AllTopics,
		held:   make(map[string]*holding), late: make(map[string]struct{}),
		changed: make(chan struct{}), edited: make(chan struct{}, 1),
	}
	l.trouble = s.store.trouble
	l.begin = s.begin
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
	}
	s.done.Go(s.run)
	return s, nil
}

// begin makes the place where messages come, and the first time looks for the
// stream.
func (s *streamSubscriber) begin(ctx context.Context, sess *session) error {
	sess.inbox = client.NewInbox() + "."
	sess.acks = make(chan *client.Msg, 2*maxPull)
	if _, err := sess.nc.ChanSubscribe(sess.inbox+"*", sess.acks); err != nil {
		return err
	}
	if sess.number > 1 {
		return nil
	}
	return s.store.find(ctx, sess)
}

func (s *streamSubscriber) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// run follows the stream until Close.
func (s *streamSubscriber) run() {
	b := backoff.Backoff{Min: s.settings.cfg.ReconnectMin, Max: min(2*time.Second, s.settings.cfg.ReconnectMax)}
	at, pull := position{}, uint64(0)
	for {
		sess, err := s.link.await(context.Background())
		if err != nil {
			return
		}
		c := &consumer{sub: s, session: sess, at: &at, backoff: &b, pull: pull}
		err = c.follow(s.link.ctx)
		pull = c.pull
		if s.link.ctx.Err() != nil {
			return
		}
		if err == nil {
			continue // with other topics
		}
		if !errors.Is(err, errLost) {
			s.link.warned.Warn(s.link.log, "follow the stream again", "stream", s.settings.stream.name, "error", err)
		}
		s.mu.Lock()
		s.failure = err
		s.notifyLocked()
		s.mu.Unlock()
		if !wait(s.link.ctx, b.Next()) {
			return
		}
	}
}

// filters returns the subjects that a consumer has to select, none if there is
// nothing to receive, and which change of them that is.
func (s *streamSubscriber) filters() (subjects []string, wanted uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all || len(s.held) > maxFilters {
		return []string{s.settings.subjects.all()}, s.wanted
	}
	for subject := range s.held {
		subjects = append(subjects, subject)
	}
	return subjects, s.wanted
}

// applied notes that the consumer has the filters of a change.
func (s *streamSubscriber) applied(wanted uint64) {
	s.mu.Lock()
	s.inForce = max(s.inForce, wanted)
	s.failure = nil
	var late [][]byte
	if s.inForce == s.wanted {
		for subject := range s.late {
			if h := s.held[subject]; h != nil {
				late = append(late, h.topic)
			}
		}
		clear(s.late)
	}
	s.notifyLocked()
	s.mu.Unlock()
	for _, topic := range late {
		s.tell(topic, driver.Confirmed)
	}
}

// tell puts a notice into the stream; topic nil: about all of them.
func (s *streamSubscriber) tell(topic []byte, n driver.Notice) {
	s.inbox.put(driver.Message{Topic: topic, Source: s.source, Notice: n})
}

// fresh notes where the stream stood before topics were taken that the
// consumer gets next.
func (s *streamSubscriber) fresh(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h.fresh {
			h.from, h.fresh = last, false
		}
	}
}

// begun notes that the stream counts anew.
func (s *streamSubscriber) begun(from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		h.from = from
	}
}

// take puts a message of the stream into the inbox, if its topic is held.
func (s *streamSubscriber) take(m *client.Msg, seq uint64) {
	s.mu.Lock()
	h := s.held[m.Subject]
	if h != nil && (h.fresh || seq <= h.from) {
		s.mu.Unlock()
		return // of before
	}
	s.mu.Unlock()
	var topic []byte
	switch {
	case h != nil:
		topic = h.topic
	case !s.all:
		return // no longer
	default:
		name, err := s.settings.subjects.topic(m.Subject)
		if err != nil {
			s.inbox.malformed()
			return
		}
		topic = []byte(name)
	}
	if len(m.Data) > s.settings.cfg.MaxPayload {
		s.inbox.malformed()
		s.tell(topic, driver.Gap)
		return
	}
	s.inbox.put(driver.Message{Topic: topic, Payload: m.Data, Source: s.source})
}

// Receive implements driver.Subscriber.
func (s *streamSubscriber) Receive(ctx context.Context, dst []driver.Message) (n int, err error) {
	return s.inbox.take(ctx, dst)
}

// Subscribe implements driver.Subscriber.
func (s *streamSubscriber) Subscribe(ctx context.Context, topics ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	subjects := make([]string, len(topics))
	for i, topic := range topics {
		subjects[i] = s.settings.subjects.of(topic)
		if s.held[subjects[i]] == nil {
			s.held[subjects[i]] = &holding{topic: []byte(topic), fresh: true}
			s.wanted++
		}
	}
	signal(s.edited)
	err := s.awaitLocked(ctx)
	if err != nil && !s.closed {
		for _, subject := range subjects {
			s.late[subject] = struct{}{}
		}
	}
	return err
}

// awaitLocked blocks until what is held now is in force, or refused, ctx ends, or
// the subscriber is closed. The lock is free meanwhile.
func (s *streamSubscriber) awaitLocked(ctx context.Context) error {
	wanted := s.wanted
	for s.inForce < wanted || s.failure != nil {
		if s.closed {
			return driver.ErrClosed
		}
		if refusesConsumer(s.failure) {
			return s.failure
		}
		if err := ctx.Err(); err != nil {
			if s.failure != nil {
				return fmt.Errorf("%w: %w", err, s.failure)
			}
			return err
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
	return nil
}

// Unsubscribe implements driver.Subscriber.
func (s *streamSubscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, topic := range topics {
		subject := s.settings.subjects.of(topic)
		if _, held := s.held[subject]; held {
			delete(s.held, subject)
			s.wanted++
		}
	}
	signal(s.edited)
	return nil
}

// Await implements driver.Awaiter.
func (s *streamSubscriber) Await(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	return s.awaitLocked(ctx)
}

// Close implements driver.Subscriber.
func (s *streamSubscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.notifyLocked()
	}
	s.mu.Unlock()
	s.inbox.close()
	s.link.close()
	s.done.Wait()
	return nil
}

// Status implements driver.Statuser.
func (s *streamSubscriber) Status() driver.Status {
	status := s.inbox.counters()
	if s.link.connected() {
		status.Peers = 1
	}
	return status
}
