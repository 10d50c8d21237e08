package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// conn is one connection through the proxy.
type conn struct {
	proxy *Proxy
	in    net.Conn // from who connected

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	stranded bool // guarded by proxy.mu

	mu    sync.Mutex
	out   net.Conn // to the target; nil until there is one
	ended bool
}

// serve passes bytes on until both sides have ended.
func (c *conn) serve() {
	defer c.proxy.forget(c)
	defer c.end(true)
	c.limit(c.in)
	if !c.awaitOpen() {
		return
	}
	var d net.Dialer
	out, err := d.DialContext(c.ctx, c.proxy.target.Network, c.proxy.target.Address)
	if err != nil {
		return
	}
	c.limit(out)
	c.mu.Lock()
	c.out = out
	ended := c.ended
	c.mu.Unlock()
	if ended {
		reset(out)
		return
	}
	var flows sync.WaitGroup
	for _, f := range []*flow{
		{conn: c, direction: Up, from: c.in, to: out},
		{conn: c, direction: Down, from: out, to: c.in},
	} {
		if f.direction == Down && c.proxy.options.ZMTP {
			f.split = &splitter{armed: c.proxy.armed, swallow: c.proxy.swallows}
		}
		flows.Go(func() {
			if !f.run() {
				c.end(true)
			}
		})
	}
	flows.Wait()
	c.end(false)
}

// limit bounds what the kernel holds.
func (c *conn) limit(conn net.Conn) {
	if b, ok := conn.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}); ok {
		_ = b.SetReadBuffer(c.proxy.options.Buffer)
		_ = b.SetWriteBuffer(c.proxy.options.Buffer)
	}
}

// awaitOpen waits until no direction is held: a request to connect, or the
// answer, would be lost. It says no when the connection was ended.
func (c *conn) awaitOpen() bool {
	counted := false
	for {
		up, changed := c.proxy.rule(Up)
		down, _ := c.proxy.rule(Down)
		if !up.Hold && !down.Hold {
			return true
		}
		if !counted {
			counted = true
			c.proxy.count(func(n *Counts) { n.Held++ })
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return false
		}
	}
}

// end closes both sides; it says no when that was done before.
func (c *conn) end(hard bool) bool {
	c.mu.Lock()
	ended := c.ended
	c.ended = true
	out := c.out
	c.mu.Unlock()
	if ended {
		return false
	}
	c.cancel()
	for _, side := range []net.Conn{c.in, out} {
		switch {
		case side == nil:
		case hard:
			reset(side)
		default:
			side.Close()
		}
	}
	return true
}

// reset closes without an orderly end, where there is one.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// flow is one direction of a connection.
type flow struct {
	conn      *conn
	direction Direction
	from, to  net.Conn
	split     *splitter // nil: bytes are bytes
}

const (
	// piece is how much is read at once.
	piece = 32 << 10
	// paces is into how many parts a second is divided for Rate.
	paces = 20
)

// run passes bytes on until the side they come from has ended, and then ends the
// other side for them. It says no when the connection is broken.
func (f *flow) run() bool {
	buf := make([]byte, piece)
	for {
		n, err := f.from.Read(buf)
		p := buf[:n]
		if f.split != nil {
			p = f.split.feed(p)
		}
		if !f.pass(p) {
			return false
		}
		if err == nil {
			continue
		}
		// The end waits in a black hole as everything does.
		if _, ok := f.gate(0); !ok || err != io.EOF {
			return false
		}
		if half, ok := f.to.(interface{ CloseWrite() error }); ok {
			return half.CloseWrite() == nil
		}
		return false
	}
}

// pass writes p, as the rule says.
func (f *flow) pass(p []byte) bool {
	for len(p) > 0 {
		rule, ok := f.gate(len(p))
		if !ok {
			return false
		}
		n := len(p)
		if rule.Rate > 0 {
			n = min(n, max(rule.Rate/paces, 1))
		}
		if rule.Slice {
			n = 1
		}
		if rule.Delay > 0 {
			f.conn.proxy.count(func(c *Counts) { c.Delayed += int64(n) })
			if !f.wait(rule.Delay) {
				return false
			}
			// It may have become a black hole meanwhile.
			if _, ok := f.gate(len(p)); !ok {
				return false
			}
		}
		f.conn.proxy.count(func(c *Counts) {
			c.Passed += int64(n)
			if rule.Slice {
				c.Sliced++
			}
			if rule.Rate > 0 {
				c.Throttled += int64(n)
			}
		})
		if _, err := f.to.Write(p[:n]); err != nil {
			return false
		}
		p = p[n:]
		if rule.Rate > 0 && !f.wait(time.Duration(n)*time.Second/time.Duration(rule.Rate)) {
			return false
		}
	}
	return true
}

// gate waits while the direction is held, with so many bytes, and returns the
// rule. It says no when the connection was ended.
func (f *flow) gate(size int) (Rule, bool) {
	counted := false
	for {
		rule, changed := f.conn.proxy.ruleOf(f.conn, f.direction)
		if !rule.Hold {
			return rule, true
		}
		if !counted {
			counted = true
			f.conn.proxy.count(func(c *Counts) { c.Withheld += int64(size) })
		}
		select {
		case <-changed:
		case <-f.conn.ctx.Done():
			return rule, false
		}
	}
}

// wait waits, unless the connection is ended.
func (f *flow) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.conn.ctx.Done():
		return false
	}
}
