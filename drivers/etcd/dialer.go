package etcd

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialer connects, and knows the connections that there are. gRPC notices one
// that is dead after keepalive and more; whoever knows better cuts it.
type dialer struct {
	timeout time.Duration

	mu    sync.Mutex
	conns map[*tracked]struct{}
}

// tracked is a connection that knows when it last brought something.
type tracked struct {
	net.Conn
	dialer *dialer
	heard  atomic.Int64 // time.Time.UnixNano
}

func (d *dialer) dial(ctx context.Context, address string) (net.Conn, error) {
	n := net.Dialer{Timeout: d.timeout}
	c, err := n.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	t := &tracked{Conn: c, dialer: d}
	t.heard.Store(time.Now().UnixNano())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[t] = struct{}{}
	return t, nil
}

// Read implements net.Conn.
func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if n > 0 {
		t.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Close implements net.Conn.
func (t *tracked) Close() error {
	t.dialer.mu.Lock()
	delete(t.dialer.conns, t)
	t.dialer.mu.Unlock()
	return t.Conn.Close()
}

// cut closes the connections to an address that have brought nothing since a
// time, so that gRPC makes others. It says whether there were any.
func (d *dialer) cut(to net.Addr, since time.Time) (some bool) {
	if to == nil {
		return false
	}
	var dead []*tracked
	d.mu.Lock()
	for t := range d.conns {
		if t.RemoteAddr().String() == to.String() && t.heard.Load() < since.UnixNano() {
			dead = append(dead, t)
		}
	}
	d.mu.Unlock()
	for _, t := range dead {
		t.Close()
	}
	return len(dead) > 0
}

// close closes what gRPC has left.
func (d *dialer) close() {
	d.mu.Lock()
	left := make([]*tracked, 0, len(d.conns))
	for t := range d.conns {
		left = append(left, t)
	}
	d.mu.Unlock()
	for _, t := range left {
		t.Close()
	}
}
