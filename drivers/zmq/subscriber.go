package zmq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
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

	mu      sync.Mutex
	topics  map[string]struct{}
	lines   map[endpoint]*line
	changed chan struct{} // closed and replaced when a line's state changes
	token   uint64
	closed  bool
}

// line keeps one publisher connected.
type line struct {
	sub    *subscriber
	target endpoint
	ctx    context.Context // ends with Disconnect
	cancel context.CancelFunc

	// Guarded by sub.mu.
	link      *link  // nil while not connected
	sent      uint64 // token of the latest PING that follows subscriptions
	confirmed uint64 // the latest that came back
	why       error  // why it isn't connected
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
	type waiter struct {
		line  *line
		link  *link
		token uint64
	}
	var waiting []waiter
	for _, l := range s.lines {
		if l.link == nil {
			continue
		}
		if len(added) > 0 {
			l.askLocked(added)
		}
		waiting = append(waiting, waiter{l, l.link, l.sent})
	}
	s.mu.Unlock()
	for _, w := range waiting {
		err := s.until(ctx, func() bool {
			return w.line.link != w.link || w.line.confirmed >= w.token
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// Await implements driver.Awaiter.
func (s *subscriber) Await(ctx context.Context) error {
	err := s.until(ctx, func() bool {
		for _, l := range s.lines {
			if l.link == nil || l.confirmed < l.sent {
				return false
			}
		}
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

// run connects again and again.
func (l *line) run() {
	s := l.sub
	pause := &backoff.Backoff{Min: s.cfg.ReconnectMin, Max: s.cfg.ReconnectMax}
	for l.ctx.Err() == nil {
		up, err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		switch {
		case isRefusal(err): // it will do the same again: not at once
			s.refusals.add(l.target.String(), err)
			if up && isProtocol(err) {
				s.malformed.Add(1)
			}
		case up:
			pause.Reset()
			s.cfg.Log.Info("publisher lost", "uri", l.target.String(), "reason", err)
		default:
			s.cfg.Log.Debug("publisher not reached", "uri", l.target.String(), "reason", err)
		}
		s.mu.Lock()
		l.why = err
		s.mu.Unlock()
		if await(l.ctx, pause.Next()) != nil {
			return
		}
	}
}

// connect makes one connection and serves it until it ends. up says whether it
// came about.
func (l *line) connect() (up bool, err error) {
	s := l.sub
	k, rest, release, err := openLink(l.ctx, l.target, s.hello, &s.cfg)
	if err != nil {
		return false, err
	}
	defer release()
	k.malformed, k.report = &s.malformed, &s.refusals
	k.onPong = func(context []byte) { l.pong(k, context) }
	id, _ := k.peer.Properties.Get(propertyID)
	if id == "" {
		id = l.target.String()
	}
	src := &driver.Source{Publisher: id, Address: l.target.String()}

	s.mu.Lock()
	if l.ctx.Err() != nil { // Disconnect or Close came first
		s.mu.Unlock()
		k.close(errClosed)
		return false, errClosed
	}
	l.link = k
	l.why = nil
	all := make([]string, 0, len(s.topics))
	for t := range s.topics {
		all = append(all, t)
	}
	l.askLocked(all)
	s.notifyLocked()
	s.mu.Unlock()
	s.cfg.Log.Info("publisher connected", "uri", l.target.String(), "id", id)

	var writer sync.WaitGroup
	writer.Go(func() { k.write(nil) })
	k.read(s.in, rest, s.cfg.MaxPayload+envelopeGrowth, src)
	k.close(errClosed)
	writer.Wait()

	s.mu.Lock()
	l.link = nil
	s.notifyLocked()
	s.mu.Unlock()
	return true, k.reason
}

// askLocked requests topics, and a sign that the request arrived.
func (l *line) askLocked(topics []string) {
	k, s := l.link, l.sub
	var p []byte
	for _, t := range topics {
		p = zmtp.AppendSubscribe(p, k.peer.Minor, []byte(t))
	}
	s.token++
	l.sent = s.token
	if k.pings.Load() {
		var context [8]byte
		binary.BigEndian.PutUint64(context[:], l.sent)
		p = zmtp.AppendPing(p, 0, context[:])
	} else {
		l.confirmed = l.sent
	}
	if len(p) > 0 {
		k.send(p)
	}
}

// pong notes a sign that came back.
func (l *line) pong(k *link, context []byte) {
	if len(context) != 8 {
		return
	}
	s := l.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.link == k {
		l.confirmed = max(l.confirmed, min(l.sent, binary.BigEndian.Uint64(context)))
		s.notifyLocked()
	}
}
