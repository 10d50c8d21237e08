package mem

import (
	"context"
	"io"
	"net"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// subscriber implements driver.Subscriber and Statuser.
type subscriber struct {
	hub *Hub
	all bool

	// The hub's mu guards these.
	closed   bool
	draining bool
	rooms    map[room]struct{}
	topics   map[string]struct{}
	queue    []driver.Message
	size     int64 // of the queue's payloads
	status   driver.Status
}

func (h *Hub) newSubscriberLocked(cfg driver.Config) *subscriber {
	return &subscriber{hub: h, all: cfg.AllTopics, rooms: make(map[room]struct{}), topics: make(map[string]struct{})}
}

func (s *subscriber) joinLocked(r room) {
	s.rooms[r] = struct{}{}
	s.hub.membersLocked(r).subscribers[s] = struct{}{}
	s.hub.notifyLocked()
}

func (s *subscriber) leaveLocked(r room) {
	delete(s.rooms, r)
	delete(s.hub.membersLocked(r).subscribers, s)
	s.hub.tidyLocked(r)
	s.hub.notifyLocked()
}

// takesLocked tells whether messages of a topic go to the subscriber.
func (s *subscriber) takesLocked(topic []byte) bool {
	if s.all {
		return true
	}
	_, held := s.topics[string(topic)]
	return held
}

// Receive implements driver.Subscriber. The bytes that it hands out are never
// written again, so that they stay valid for good.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (n int, err error) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for {
		if s.closed {
			return 0, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if len(s.queue) > 0 {
			break
		}
		if s.draining {
			return 0, io.EOF
		}
		if err := s.hub.waitLocked(ctx); err != nil {
			return 0, err
		}
	}
	n = copy(dst, s.queue)
	clear(s.queue[:n])
	s.queue = s.queue[n:]
	for i := range dst[:n] {
		s.size -= int64(len(dst[i].Payload))
		s.status.Bytes += uint64(len(dst[i].Payload))
	}
	s.status.Messages += uint64(n)
	s.hub.notifyLocked()
	return n, nil
}

// Subscribe implements driver.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	return s.change(ctx, func() {
		for _, name := range topics {
			s.topics[name] = struct{}{}
		}
	})
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	return s.change(ctx, func() {
		for _, name := range topics {
			delete(s.topics, name)
		}
	})
}

func (s *subscriber) change(ctx context.Context, edit func()) error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	edit()
	s.hub.notifyLocked() // a publisher may have waited for room in our queue
	return nil
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.queue, s.size = nil, 0
	for r := range s.rooms {
		s.leaveLocked(r)
	}
	s.hub.notifyLocked()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	status := s.status
	status.Retained = s.size
	for r := range s.rooms {
		status.Peers += len(s.hub.rooms[r].publishers)
	}
	return status
}

// networkSubscriber adds driver.Connector and Awaiter.
type networkSubscriber struct{ *subscriber }

// Connect implements driver.Connector.
func (s networkSubscriber) Connect(uri string) error {
	name, err := parse(uri)
	if err != nil {
		return err
	}
	return s.change(context.Background(), func() { s.joinLocked(room{driver.Network, name}) })
}

// Disconnect implements driver.Connector.
func (s networkSubscriber) Disconnect(uri string) error {
	name, err := parse(uri)
	if err != nil {
		return err
	}
	return s.change(context.Background(), func() { s.leaveLocked(room{driver.Network, name}) })
}

// Await implements driver.Awaiter. Topics are in force at once, so it waits
// for publishers only.
func (s networkSubscriber) Await(ctx context.Context) error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for {
		if s.closed {
			return driver.ErrClosed
		}
		if s.completeLocked() {
			return nil
		}
		if err := s.hub.waitLocked(ctx); err != nil {
			return err
		}
	}
}

func (s networkSubscriber) completeLocked() bool {
	for r := range s.rooms {
		if len(s.hub.rooms[r].publishers) == 0 {
			return false
		}
	}
	return true
}

// ipcSubscriber adds driver.Bound and Drainer.
type ipcSubscriber struct {
	*subscriber
	name addr
}

// Addr implements driver.Bound.
func (s ipcSubscriber) Addr() net.Addr { return s.name }

// Drain implements driver.Drainer.
func (s ipcSubscriber) Drain() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.draining = true
	s.hub.notifyLocked()
}
