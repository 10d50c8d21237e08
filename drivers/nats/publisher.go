package nats

import (
	"context"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// publisher implements driver.Publisher and Statuser on plain subjects.
//
// What it accepts waits in a queue until a server has confirmed that it took it
// in. What was sent on a connection that broke before that is sent again on the
// next one.
type publisher struct {
	link  *link
	limit int64 // of the queue, in bytes
	done  sync.WaitGroup

	cache cache // only Publish uses it

	mu      sync.Mutex
	queue   []item
	first   uint64 // the number of queue[0]
	sent    uint64 // the number of the next one to send
	session int    // on which those before sent were
	size    int64  // of the queue
	closed  bool
	changed chan struct{} // closed when any of these changes
	status  driver.Status
}

// item is a message in the queue.
type item struct {
	subject string
	payload []byte
}

func (i *item) cost() int64 { return int64(len(i.payload)) + messageCost }

func openPublisher(ctx context.Context, l *link) (driver.Publisher, error) {
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
	}
	p := &publisher{
		link: l, limit: l.settings.cfg.Queue, changed: make(chan struct{}),
		cache: cache{subjects: l.settings.subjects},
	}
	p.done.Go(p.write)
	p.done.Go(p.confirm)
	return p, nil
}

func (p *publisher) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// waitLocked blocks until something changes or ctx ends. The lock is free
// meanwhile.
func (p *publisher) waitLocked(ctx context.Context, lost <-chan struct{}) error {
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-lost:
		return errLost
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkSize reports a payload that is too large for the configuration, or for
// the server, which counts what goes with it.
func checkSize(l *link, size, extra int) error {
	if limit := l.settings.cfg.MaxPayload; size > limit {
		return tooLarge(size, int64(limit), "the configured limit")
	}
	if s, _ := l.current(); s != nil {
		if limit := s.maxPayload; int64(size+extra) > limit {
			return driver.WithHint(tooLarge(size+extra, limit, "the server's max_payload"), "raise max_payload in the servers' configuration")
		}
	}
	return nil
}

// Publish implements driver.Publisher.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n < len(msgs) {
		if p.closed {
			return n, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m := &msgs[n]
		if err := checkSize(p.link, len(m.Payload), 0); err != nil {
			return n, err
		}
		i := item{p.cache.of(m.Topic), m.Payload}
		if p.size > 0 && p.size+i.cost() > p.limit {
			if err := p.waitLocked(ctx, nil); err != nil {
				return n, err
			}
			continue
		}
		i.payload = append([]byte(nil), i.payload...)
		p.queue = append(p.queue, i)
		p.size += i.cost()
		p.status.Messages++
		p.status.Bytes += uint64(len(i.payload))
		if n++; n == len(msgs) || n%64 == 0 {
			p.notifyLocked()
		}
	}
	return n, nil
}

// maxWrite is how many messages are taken from the queue at once.
const maxWrite = 256

// write sends what is in the queue, from the first unconfirmed on with every
// new connection.
func (p *publisher) write() {
	for {
		s, err := p.link.await(context.Background())
		if err != nil {
			return
		}
		p.mu.Lock()
		p.sent, p.session = p.first, s.number
		p.mu.Unlock()
		p.writeTo(s)
	}
}

func (p *publisher) writeTo(s *session) {
	var batch [maxWrite]item
	for {
		p.mu.Lock()
		n := copy(batch[:], p.queue[p.sent-p.first:])
		if n == 0 {
			err := p.waitLocked(p.link.ctx, s.lost)
			p.mu.Unlock()
			if err != nil {
				return
			}
			continue
		}
		p.mu.Unlock()
		for i := range batch[:n] {
			if s.nc.Publish(batch[i].subject, batch[i].payload) != nil {
				// Perhaps a part of it was sent.
				s.nc.Close()
				return
			}
		}
		clear(batch[:n])
		p.mu.Lock()
		p.sent += uint64(n)
		p.notifyLocked()
		p.mu.Unlock()
	}
}

// confirm asks the server again and again whether it has what was sent, and
// removes that from the queue.
func (p *publisher) confirm() {
	for {
		s, err := p.link.await(context.Background())
		if err != nil {
			return
		}
		p.mu.Lock()
		if p.session != s.number || p.sent == p.first {
			p.waitLocked(p.link.ctx, s.lost)
			p.mu.Unlock()
			continue
		}
		mark := p.sent
		p.mu.Unlock()
		if s.flush(p.link.ctx) != nil {
			s.nc.Close()
			continue
		}
		p.mu.Lock()
		n := mark - p.first
		for i := range p.queue[:n] {
			p.size -= p.queue[i].cost()
			p.queue[i] = item{}
		}
		if p.queue, p.first = p.queue[n:], mark; len(p.queue) == 0 {
			p.queue = nil
		}
		p.notifyLocked()
		p.mu.Unlock()
	}
}

// Flush implements driver.Publisher: the server has everything.
func (p *publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.first + uint64(len(p.queue))
	for {
		if p.closed {
			return driver.ErrClosed
		}
		if p.first >= end {
			return nil
		}
		if err := p.waitLocked(ctx, nil); err != nil {
			return err
		}
	}
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.notifyLocked()
	}
	p.mu.Unlock()
	p.link.close()
	p.done.Wait()
	return nil
}

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Retained = p.size
	if p.link.connected() {
		s.Peers = 1
	}
	return s
}
