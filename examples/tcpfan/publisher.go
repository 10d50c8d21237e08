package tcpfan

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// publisher implements driver.Publisher, Bound and Statuser.
type publisher struct {
	cfg      driver.Config
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the peers
	closed  bool
	peers   map[*peer]struct{}
	status  driver.Status
	changed chan struct{} // closed when a queue got shorter; nil: nobody waits
}

// peer is one subscriber.
type peer struct {
	conn   net.Conn
	topics map[string]struct{}
	queue  [][]byte
	size   int64         // of the queue, and of what is being written
	wake   chan struct{} // there is something in the queue
}

func newPublisher(cfg driver.Config, l net.Listener) *publisher {
	p := &publisher{cfg: cfg, listener: l, peers: make(map[*peer]struct{})}
	p.running.Go(p.accept)
	return p
}

func (p *publisher) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors, perhaps: what is connected goes on
			p.cfg.Log.Warn("can't accept a connection", "error", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if !p.take(conn) {
			conn.Close()
		}
	}
}

// take begins to serve a connection.
func (p *publisher) take(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.peers) >= p.cfg.MaxPeers {
		p.status.Refused++
		return false
	}
	s := &peer{conn: conn, topics: make(map[string]struct{}), wake: make(chan struct{}, 1)}
	p.peers[s] = struct{}{}
	gone := make(chan struct{})
	p.running.Go(func() {
		defer close(gone)
		err := p.read(s)
		p.cfg.Log.Debug("subscriber gone", "peer", conn.RemoteAddr(), "reason", err)
		p.drop(s)
	})
	p.running.Go(func() { p.write(s, gone) })
	return true
}

// drop forgets a peer.
func (p *publisher) drop(s *peer) {
	s.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.peers, s)
	p.notifyLocked()
}

// read takes what a peer asks for.
func (p *publisher) read(s *peer) error {
	r := bufio.NewReader(s.conn)
	for {
		f, err := readFrame(r, 0)
		if err != nil {
			return err
		}
		p.mu.Lock()
		switch f.kind {
		case subscribe:
			s.topics[string(f.topic)] = struct{}{}
		case unsubscribe:
			delete(s.topics, string(f.topic))
		}
		tooMany := len(s.topics) > p.cfg.MaxSubscriptions
		p.mu.Unlock()
		if tooMany {
			return errors.New("too many topics")
		}
	}
}

// write sends a peer what is in its queue.
func (p *publisher) write(s *peer, gone <-chan struct{}) {
	for {
		select {
		case <-s.wake:
		case <-gone:
			return
		}
		p.mu.Lock()
		queue, size := net.Buffers(s.queue), s.size
		s.queue = nil
		p.mu.Unlock()
		if _, err := queue.WriteTo(s.conn); err != nil {
			s.conn.Close() // which ends read, and that us
			continue
		}
		p.mu.Lock()
		s.size -= size
		p.notifyLocked()
		p.mu.Unlock()
	}
}

// notifyLocked wakes those who wait for shorter queues.
func (p *publisher) notifyLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Publish implements driver.Publisher. It never waits: what a subscriber's queue
// has no room for is dropped for that subscriber.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; n < len(msgs); n++ {
		m := &msgs[n]
		switch {
		case p.closed:
			return n, driver.ErrClosed
		case ctx.Err() != nil:
			return n, ctx.Err()
		case len(m.Payload) > p.cfg.MaxPayload:
			return n, driver.ErrTooLarge
		}
		p.deliverLocked(m)
		p.status.Messages++
		p.status.Bytes += uint64(len(m.Payload))
	}
	return n, nil
}

func (p *publisher) deliverLocked(m *driver.Message) {
	var encoded []byte // one copy for all
	for s := range p.peers {
		if _, held := s.topics[string(m.Topic)]; !held {
			continue
		}
		if encoded == nil {
			encoded = appendFrame(nil, frame{message, m.Topic, m.Payload})
		}
		size := int64(len(encoded))
		if s.size > 0 && s.size+size > p.cfg.Queue {
			p.status.Lost++
			continue
		}
		s.queue = append(s.queue, encoded)
		s.size += size
		p.status.Deliveries++
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Flush implements driver.Publisher. A subscriber that doesn't read is waited for
// until ctx ends.
func (p *publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		left := int64(0)
		for s := range p.peers {
			left += s.size
		}
		switch {
		case p.closed:
			return driver.ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case left == 0:
			return nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		p.mu.Lock()
	}
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	for s := range p.peers {
		s.conn.Close()
	}
	p.notifyLocked()
	p.mu.Unlock()
	var err error
	if first {
		err = p.listener.Close()
	}
	p.running.Wait()
	return err
}

// Addr implements driver.Bound.
func (p *publisher) Addr() net.Addr { return p.listener.Addr() }

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := p.status
	status.Peers = len(p.peers)
	for s := range p.peers {
		status.Retained += s.size
	}
	return status
}
