package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"

	client "github.com/nats-io/nats.go"
)

// publisher implements driver.Publisher and Statuser on plain subjects.
//
// What it accepts waits in a queue until a server has confirmed that it took it
// in. What was sent on a connection that broke before that is sent again on the
// next one.
//
// A server does not answer a message, and what it does not permit it says a
// moment later. So the first message of a topic on each connection is accepted
// only when that moment has passed.
type publisher struct {
	link  *link
	limit int64 // of the queue, in bytes
	done  sync.WaitGroup

	cache cache // only Publish uses it

	mu      sync.Mutex
	queue   []item
	first   uint64 // the number of queue[0]
	sent    uint64 // the number of the next one to send
	touched uint64 // what comes from here on was never taken for sending
	session int    // on which those before sent were
	size    int64  // of the queue
	closed  bool
	changed chan struct{} // closed when any of these changes
	status  driver.Status
	// permitted are subjects that the server has taken messages of, on this
	// connection, and denied those that it has not.
	permitted map[string]struct{}
	denied    denials
}

// item is a message in the queue.
type item struct {
	subject string
	payload []byte
}

func (i *item) cost() int64 { return int64(len(i.payload)) + messageCost }

func openPublisher(ctx context.Context, l *link) (driver.Publisher, error) {
	p := &publisher{
		link: l, limit: l.settings.cfg.Queue, changed: make(chan struct{}),
		cache:     cache{subjects: l.settings.subjects},
		permitted: make(map[string]struct{}), denied: newDenials(l.settings),
	}
	l.trouble = p.trouble
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
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
		if limit := s.maxPayload(); int64(size+extra) > limit {
			return driver.WithHint(tooLarge(size+extra, limit, "the server's max_payload"), "raise max_payload in the servers' configuration")
		}
	}
	return nil
}

// trouble is the link's: it notes what the server does not permit.
func (p *publisher) trouble(_ *session, _ *client.Subscription, err error) {
	publish, subject, ok := violation(err)
	if !ok || !publish {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.permitted, subject)
	p.denied.add(subject, refusedPublish(err, subject))
}

// Publish implements driver.Publisher.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.first + uint64(len(p.queue))
	var unproven []int // of msgs, that were not permitted yet
	n, err = p.acceptLocked(ctx, msgs, &unproven)
	if unproven == nil {
		return n, err
	}
	proven, proveErr := p.proveLocked(ctx, msgs[:n], before, unproven)
	if errors.Is(proveErr, driver.ErrRefused) && errors.Is(proveErr, driver.ErrUnsure) {
		p.restLocked(ctx, msgs[n:])
	}
	if proveErr != nil {
		p.status.Messages -= uint64(n - proven)
		for i := range msgs[proven:n] {
			p.status.Bytes -= uint64(len(msgs[proven+i].Payload))
		}
		return proven, proveErr
	}
	return n, err
}

// restLocked puts into the queue what is behind messages of which one was
// refused and others went: nobody sends them again.
func (p *publisher) restLocked(ctx context.Context, msgs []driver.Message) {
	for len(msgs) > 0 {
		var unproven []int
		n, err := p.acceptLocked(ctx, msgs, &unproven)
		if msgs = msgs[n:]; len(msgs) > 0 {
			if !errors.Is(err, driver.ErrRefused) && !errors.Is(err, driver.ErrTooLarge) {
				return
			}
			msgs = msgs[1:]
		}
	}
}

// proveLocked waits until it is known whether the server takes messages of
// subjects that are new to it. msgs are the queue's from number before on. It
// returns how many may count as accepted.
func (p *publisher) proveLocked(ctx context.Context, msgs []driver.Message, before uint64, unproven []int) (n int, err error) {
	n = unproven[0]
	for at := before + uint64(len(msgs)); p.first < at; {
		if p.closed {
			err = driver.ErrClosed
		} else {
			err = p.waitLocked(ctx, nil)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		for _, n = range unproven {
			subject := p.cache.of(msgs[n].Topic)
			if err = p.denied.of(subject); err != nil {
				break
			}
			if len(p.permitted) >= maxCached {
				clear(p.permitted)
			}
			p.permitted[subject] = struct{}{}
		}
		if err == nil {
			return len(msgs), nil
		}
		// What is behind it may have been sent.
		for i := n + 1; i < len(msgs); i++ {
			if p.denied.of(p.cache.of(msgs[i].Topic)) == nil {
				return n, fmt.Errorf("%w: %w", driver.ErrUnsure, err)
			}
		}
		return n, err
	}
	// Nobody knows in time. What was not taken for sending never will be.
	from := before + uint64(n)
	keep := max(from, p.touched) - p.first
	for i := range p.queue[keep:] {
		p.size -= p.queue[keep:][i].cost()
	}
	clear(p.queue[keep:])
	p.queue = p.queue[:keep]
	if p.touched > from {
		err = fmt.Errorf("%w: %w", driver.ErrUnsure, err)
	}
	return n, err
}

// acceptLocked puts messages into the queue, and adds to unproven which are of
// subjects of which no message was taken yet.
func (p *publisher) acceptLocked(ctx context.Context, msgs []driver.Message, unproven *[]int) (n int, err error) {
	defer p.notifyLocked() // of what came before an error, too
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
		if err := p.denied.of(i.subject); err != nil {
			return n, err
		}
		if p.size > 0 && p.size+i.cost() > p.limit {
			p.notifyLocked()
			if err := p.waitLocked(ctx, nil); err != nil {
				return n, err
			}
			continue
		}
		i.payload = append([]byte(nil), i.payload...)
		if _, permitted := p.permitted[i.subject]; !permitted {
			*unproven = append(*unproven, n)
		}
		p.queue = append(p.queue, i)
		p.size += i.cost()
		p.status.Messages++
		p.status.Bytes += uint64(len(i.payload))
		if n++; n%64 == 0 {
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
		clear(p.permitted)
		p.denied.clear()
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
		p.touched = max(p.touched, p.sent+uint64(n))
		p.mu.Unlock()
		for i := range batch[:n] {
			err := s.nc.Publish(batch[i].subject, batch[i].payload)
			if errors.Is(err, client.ErrMaxPayload) {
				// It was accepted when the server took more. Whoever holds the topic
				// finds that its number is missing.
				p.link.warned.Warn(p.link.log, "an event is dropped: it is larger than the server's max_payload has become",
					"subject", batch[i].subject, "bytes", len(batch[i].payload), "max_payload", s.maxPayload())
				continue
			}
			if err != nil {
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
