package tcpfan

import (
	"context"
	"fmt"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// subscriber implements driver.Subscriber, Connector and Statuser.
type subscriber struct {
	cfg     driver.Config
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows, and the links
	closed bool
	topics map[string]struct{}
	links  map[string]*link // by URI
	queue  []driver.Message
	size   int64
	status driver.Status

	// Each has room for one value, and is a hint to look again.
	filled, emptied chan struct{}
	ended           chan struct{} // closed by Close
}

func newSubscriber(cfg driver.Config) *subscriber {
	return &subscriber{
		cfg: cfg, topics: make(map[string]struct{}), links: make(map[string]*link),
		filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Receive implements driver.Subscriber.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (n int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		s.mu.Lock()
		closed := s.closed
		if !closed {
			n = s.takeLocked(dst)
		}
		s.mu.Unlock()
		switch {
		case closed:
			return 0, driver.ErrClosed
		case n > 0:
			hint(s.emptied)
			return n, nil
		}
		select {
		case <-s.filled:
		case <-s.ended:
		case <-ctx.Done():
		}
	}
}

func (s *subscriber) takeLocked(dst []driver.Message) int {
	n := copy(dst, s.queue)
	clear(s.queue[:n])
	s.queue = s.queue[n:]
	for i := range dst[:n] {
		s.size -= int64(len(dst[i].Payload))
		if dst[i].Notice == driver.NoNotice {
			s.status.Messages++
			s.status.Bytes += uint64(len(dst[i].Payload))
		}
	}
	if len(s.queue) > 0 {
		hint(s.filled)
	}
	return n
}

// put queues a message. While there is too much it waits, and with it the
// publisher, who then drops. It returns false when nobody will take it.
func (s *subscriber) put(m driver.Message, gone <-chan struct{}) bool {
	for {
		s.mu.Lock()
		fits := s.size == 0 || s.size+int64(len(m.Payload)) <= s.cfg.Queue && len(s.queue) < maxQueued
		if fits {
			s.queue = append(s.queue, m)
			s.size += int64(len(m.Payload))
		}
		s.mu.Unlock()
		if fits {
			hint(s.filled)
			hint(s.emptied) // for another link that waits
			return true
		}
		select {
		case <-s.emptied:
		case <-gone:
			return false
		}
	}
}

// maxQueued bounds messages that are hardly more than their topics.
const maxQueued = 1 << 14

// Subscribe implements driver.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	return s.change(ctx, subscribe, topics)
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	return s.change(ctx, unsubscribe, topics)
}

func (s *subscriber) change(ctx context.Context, kind byte, topics []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, topic := range topics {
		_, held := s.topics[topic]
		if held == (kind == subscribe) {
			continue
		}
		if held {
			delete(s.topics, topic)
		} else {
			s.topics[topic] = struct{}{}
		}
		for _, l := range s.links {
			l.askLocked(kind, topic)
		}
	}
	return nil
}

// Connect implements driver.Connector.
func (s *subscriber) Connect(uri string) error {
	address, err := parse(uri)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if s.links[uri] == nil {
		if len(s.links) >= s.cfg.MaxPeers {
			return fmt.Errorf("connected to %d publishers already", len(s.links))
		}
		l := newLink(s, address, uri)
		s.links[uri] = l
		s.running.Go(l.run)
	}
	return nil
}

// Disconnect implements driver.Connector.
func (s *subscriber) Disconnect(uri string) error {
	if _, err := parse(uri); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	if l := s.links[uri]; l != nil {
		delete(s.links, uri)
		l.end()
	}
	return nil
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.ended)
		for _, l := range s.links {
			l.end()
		}
		s.queue = nil
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Retained = s.size
	for _, l := range s.links {
		if l.connected {
			status.Peers++
		}
	}
	return status
}
