package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Endpoint is an address of package net.
type Endpoint struct {
	Network string // "tcp" or "unix"
	Address string
}

// Options say how a proxy works.
type Options struct {
	// ZMTP makes it follow the messages that come Down, for Swallow.
	ZMTP bool
	// Buffer is what the kernel may hold of each connection, in bytes and per
	// direction: what is in there has left one side and not reached the other.
	// Default 64 KiB.
	Buffer int
}

// Proxy passes connections on, and breaks them when it is told to.
type Proxy struct {
	target   Endpoint
	options  Options
	listener net.Listener
	wg       sync.WaitGroup // accept and the connections

	mu      sync.Mutex
	conns   map[*conn]struct{}
	rules   [2]Rule       // Up, Down
	changed chan struct{} // closed and replaced when rules do
	refuse  bool
	swallow func(topic, body []byte) bool // nil: not armed
	counts  Counts
	closed  bool
}

// Listen starts a proxy at an address, to a target.
func Listen(at, target Endpoint, o Options) (*Proxy, error) {
	l, err := net.Listen(at.Network, at.Address)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	if o.Buffer <= 0 {
		o.Buffer = 64 << 10
	}
	p := &Proxy{target: target, options: o, listener: l, conns: make(map[*conn]struct{}), changed: make(chan struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns where to connect to.
func (p *Proxy) Addr() net.Addr { return p.listener.Addr() }

// Apply replaces the rule of a direction, or of both, also for the connections
// that there are.
func (p *Proxy) Apply(d Direction, r Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.rules {
		if d&(1<<i) != 0 {
			p.rules[i] = r
		}
	}
	p.notifyLocked()
}

// Heal lets everything pass again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.refuse, p.swallow = [2]Rule{}, false, nil
	p.notifyLocked()
}

// Refuse makes the proxy reset every connection that is begun, or stop doing so.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Swallow takes the next message that comes Down, and for which match says yes,
// out of its stream: once, and only with Options.ZMTP. match is called under a
// lock; nil means any message.
func (p *Proxy) Swallow(match func(topic, body []byte) bool) {
	if match == nil {
		match = func(_, _ []byte) bool { return true }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallow = match
}

// Cut ends all connections in order (FIN) and returns how many.
func (p *Proxy) Cut() int { return p.end(false) }

// Reset ends all connections without (RST, where there is such a thing) and
// returns how many.
func (p *Proxy) Reset() int { return p.end(true) }

// Strand makes the connections that there are dead for ever, and returns how many:
// nothing passes any more, either way, and no side is told, as when something in
// between has forgotten them, until Cut, Reset or Close. Those that are begun later
// pass.
func (p *Proxy) Strand() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.stranded = true
	}
	p.notifyLocked()
	return len(p.conns)
}

// Counts returns what it did so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Open returns how many connections there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Close ends everything and waits for it. It is idempotent.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.end(true)
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

func (p *Proxy) end(reset bool) int {
	p.mu.Lock()
	conns := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	n := 0
	for _, c := range conns {
		if c.end(reset) {
			n++
		}
	}
	p.count(func(counts *Counts) {
		if reset {
			counts.Reset += int64(n)
		} else {
			counts.Cut += int64(n)
		}
	})
	return n
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // descriptors have run out: there will be some again
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.take(in)
	}
}

// take begins to serve a connection, unless it is refused.
func (p *Proxy) take(in net.Conn) {
	c := &conn{proxy: p, in: in}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	refuse := p.refuse || p.closed
	if refuse {
		p.counts.Refused++
	} else {
		p.counts.Accepted++
		p.conns[c] = struct{}{}
	}
	p.mu.Unlock()
	if refuse {
		c.cancel()
		reset(in)
		return
	}
	p.wg.Go(c.serve)
}

func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) count(add func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.counts)
}

func (p *Proxy) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// rule returns what holds in a direction, and a channel that is closed when that
// changes.
func (p *Proxy) rule(d Direction) (Rule, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules[d>>1], p.changed
}

// ruleOf is rule for a connection: one that is stranded is held for ever.
func (p *Proxy) ruleOf(c *conn, d Direction) (Rule, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rules[d>>1]
	r.Hold = r.Hold || c.stranded
	return r, p.changed
}

// armed says whether a message is to be swallowed.
func (p *Proxy) armed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.swallow != nil
}

// swallows decides about one message.
func (p *Proxy) swallows(topic, body []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.swallow == nil || !p.swallow(topic, body) {
		return false
	}
	p.swallow = nil
	p.counts.Swallowed++
	return true
}
