package zmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// subscriber is SUB: one line to each publisher it was told of.
//
// Lock order: mu, then link.mu. Nothing blocks under either.
type subscriber struct {
	cfg   driver.Config
	hello zmtp.HandshakeConfig
	in    *inbox

	refusals  refusals
	malformed atomic.Uint64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	topics    map[string]struct{}
	awaited   map[string]int // topics for whose confirmation a Subscribe waits
	lines     map[endpoint]*line
	histories []*history       // of every publisher there is, and some that were
	late      []driver.Message // notices that are given unless somebody awaits
	later     *time.Timer      // when
	changed   chan struct{}    // closed and replaced when a line's state changes
	token     uint64
	closed    bool
}

func openSubscriber(cfg driver.Config) (*subscriber, error) {
	if err := checkParams(&cfg); err != nil {
		return nil, err
	}
	s := &subscriber{
		cfg:      cfg,
		hello:    zmtp.HandshakeConfig{SocketType: zmtp.Sub, Properties: ours(&cfg)},
		in:       newInbox(),
		refusals: refusals{log: cfg.Log, what: "publisher refused"},
		topics:   make(map[string]struct{}),
		awaited:  make(map[string]int),
		lines:    make(map[endpoint]*line),
		changed:  make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if cfg.AllTopics {
		s.topics[""] = struct{}{}
	}
	return s, nil
}

// Receive implements driver.Subscriber.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return s.in.receive(ctx, dst)
}

// Connect implements driver.Connector.
func (s *subscriber) Connect(uri string) error {
	target, err := parseURI(uri)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if s.lines[target] != nil {
		return nil
	}
	l := &line{sub: s, target: target}
	l.ctx, l.cancel = context.WithCancel(s.ctx)
	s.lines[target] = l
	s.wg.Go(l.run)
	return nil
}

// Disconnect implements driver.Connector.
func (s *subscriber) Disconnect(uri string) error {
	target, err := parseURI(uri)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if l := s.lines[target]; l != nil {
		delete(s.lines, target)
		l.cancel()
		if l.link != nil {
			// At once: what comes by a connection that is made next must not
			// come by this one as well.
			l.link.close(errClosed)
		}
		s.forgetLocked(l.history)
		s.notifyLocked()
	}
	return nil
}

// Subscribe implements driver.Subscriber. Publishers that don't speak
// heartbeats (ZMTP 3.0) can't confirm: for them it waits until the request was
// written.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return driver.ErrClosed
	}
	var added []string
	for _, t := range topics {
		if _, ok := s.topics[t]; !ok {
			s.topics[t] = struct{}{}
			added = append(added, t)
		}
	}
	for _, h := range s.histories {
		h.add(added)
	}
	for _, t := range topics {
		s.awaited[t]++
	}
	var waits []wait
	for _, l := range s.lines {
		if l.link == nil {
			continue
		}
		if len(added) > 0 && !l.history.catching {
			l.askLocked()
		}
		waits = append(waits, wait{l, l.link, l.history})
	}
	s.mu.Unlock()
	err := s.until(ctx, func() bool {
		return !slices.ContainsFunc(waits, func(w wait) bool { return w.line.link == w.link && w.history.waits(topics) })
	})
	s.endWait(topics, waits, err)
	return err
}

// wait is a connection on which a Subscribe waits.
type wait struct {
	line    *line
	link    *link
	history *history
}

// endWait undoes what Subscribe said of its waiting. Where the connection went
// meanwhile the caller doesn't know that: it is told when the topics are in
// force.
func (s *subscriber) endWait(topics []string, waits []wait, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range topics {
		if s.awaited[t]--; s.awaited[t] == 0 {
			delete(s.awaited, t)
		}
	}
	for _, w := range waits {
		if err != nil || w.line.link == w.link {
			continue
		}
		for _, t := range topics {
			w.history.wanted.rely(t)
		}
	}
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(_ context.Context, topics ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	var removed []string
	for _, t := range topics {
		if _, ok := s.topics[t]; ok {
			delete(s.topics, t)
			removed = append(removed, t)
		}
	}
	for _, h := range s.histories {
		h.drop(removed)
	}
	for _, l := range s.lines {
		if l.link == nil || len(removed) == 0 {
			continue
		}
		var p []byte
		for _, t := range removed {
			p = zmtp.AppendCancel(p, l.link.peer.Minor, []byte(t))
		}
		l.link.send(p)
	}
	return nil
}

// Await implements driver.Awaiter. A line that leads nowhere counts as the
// publisher to which it led last, which another one may have connected.
func (s *subscriber) Await(ctx context.Context) error {
	err := s.until(ctx, func() bool {
		for _, l := range s.lines {
			if l.history == nil || l.history.line == nil || !l.history.complete() {
				return false
			}
		}
		s.late = nil // who awaits needs not be told
		return true
	})
	if err == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if l.link == nil && l.why != nil {
			return fmt.Errorf("%w: %s: %w", err, l.target, l.why)
		}
	}
	return err
}

// until waits for a condition, which is evaluated under mu.
func (s *subscriber) until(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ok, closed, changed := done(), s.closed, s.changed
		s.mu.Unlock()
		switch {
		case closed:
			return driver.ErrClosed
		case ok:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notifyLocked wakes everyone in until.
func (s *subscriber) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		if s.later != nil {
			s.later.Stop()
		}
		close(s.in.closed)
		s.cancel()
		s.notifyLocked()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	s.mu.Lock()
	peers := 0
	for _, l := range s.lines {
		if l.link != nil {
			peers++
		}
	}
	s.mu.Unlock()
	return driver.Status{
		Peers:     peers,
		Messages:  s.in.messages.Load(),
		Bytes:     s.in.bytes.Load(),
		Refused:   s.refusals.count.Load(),
		Malformed: s.malformed.Load(),
	}
}
