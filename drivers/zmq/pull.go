package zmq

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// puller is PULL: the service's side of the IPC hop. It binds; any number of
// workers connect, and all that they send is for it.
type puller struct {
	cfg      driver.Config
	hello    zmtp.HandshakeConfig
	listener *lockedListener
	allow    *allowList
	in       *inbox

	admission *admission
	refusals  refusals
	malformed atomic.Uint64
	peers     atomic.Int64

	wg sync.WaitGroup // the accept loop and the connections

	mu       sync.Mutex
	conns    map[net.Conn]*link // nil until the handshake is done
	draining bool
	closed   bool
	stopped  chan struct{} // closed with either
}

func openPuller(ctx context.Context, cfg driver.Config) (*puller, error) {
	return openPullerFor(ctx, cfg, newAllowList(&cfg))
}

// openPullerFor is openPuller with another idea of who this process is.
func openPullerFor(ctx context.Context, cfg driver.Config, allow *allowList) (*puller, error) {
	if err := checkParams(&cfg); err != nil {
		return nil, err
	}
	l, err := listenUnix(ctx, cfg.Socket, ownerName(&cfg), allow.open())
	if err != nil {
		return nil, err
	}
	allow.reach(cfg.Socket, cfg.Log)
	p := &puller{
		cfg:      cfg,
		hello:    zmtp.HandshakeConfig{SocketType: zmtp.Pull, AsServer: true, Properties: ours(&cfg)},
		listener: l,
		allow:    allow,
		in:       newInbox(),
		// Workers are mostly of one user, who may have them all.
		admission: newAdmission(cfg.MaxPeers, 0),
		refusals:  refusals{log: cfg.Log, what: "worker refused"},
		conns:     make(map[net.Conn]*link),
		stopped:   make(chan struct{}),
	}
	p.wg.Go(func() { acceptAll(l, p.stopped, cfg.Log, p.take) })
	return p, nil
}

// take serves one connection, if its user may and there is room for it.
func (p *puller) take(conn net.Conn) {
	user, err := p.allow.check(conn)
	var g *guest
	if err == nil {
		g, err = p.admission.admit(user)
	}
	if err != nil {
		p.refusals.add(remoteName(conn), err)
		conn.Close()
		return
	}
	g.end = func(error) { conn.Close() } // who serves it asks for the reason
	p.mu.Lock()
	ending := p.draining || p.closed
	if !ending {
		p.conns[conn] = nil
	}
	p.mu.Unlock()
	if ending {
		g.leave()
		conn.Close()
		return
	}
	p.wg.Go(func() { p.serve(conn, g) })
}

// serve reads from one worker until it ends.
func (p *puller) serve(conn net.Conn, g *guest) {
	defer p.forget(conn)
	defer g.leave()
	name := remoteName(conn)
	_ = conn.SetDeadline(time.Now().Add(p.cfg.HandshakeTimeout))
	peer, rest, err := shake(conn, p.hello)
	if evicted := g.introduced(); evicted != nil {
		err = evicted
	}
	if err != nil {
		conn.Close()
		p.mu.Lock()
		ending := p.draining || p.closed
		p.mu.Unlock()
		if !ending {
			p.refusals.add(name, err)
		}
		return
	}
	id, _ := peer.Properties.Get(propertyID)
	k := newLink(conn, &p.cfg, peer)
	k.address = name
	k.patient = true // a worker that is stopped keeps its connection: nothing else is waiting for it
	k.malformed, k.report = &p.malformed, &p.refusals
	p.introduce(conn, k)
	p.peers.Add(1)
	defer p.peers.Add(-1)
	p.cfg.Log.Debug("worker connected", "peer", name, "id", id)

	var writer sync.WaitGroup
	writer.Go(func() { k.write(nil) })
	k.read(p.in, rest, p.cfg.MaxPayload+envelopeGrowth, &driver.Source{Publisher: id, Address: name})
	k.close(errClosed)
	writer.Wait()
	p.tellTorn(k, id)
	if isProtocol(k.reason) {
		p.malformed.Add(1)
	}
	if isRefusal(k.reason) {
		p.refusals.add(name, k.reason)
	}
	p.cfg.Log.Debug("worker gone", "peer", name, "reason", k.reason)
}

// introduce notes whose connection it is. One that comes into a drain is told
// at once that it may send nothing.
func (p *puller) introduce(conn net.Conn, k *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = conn.SetDeadline(time.Time{}) // of the handshake
	if _, ok := p.conns[conn]; !ok {
		return
	}
	if p.conns[conn] = k; p.draining {
		p.dismissLocked(conn, k)
	}
}

// dismissLocked tells a worker to send nothing more.
func (p *puller) dismissLocked(conn net.Conn, k *link) {
	if k.ours {
		halfClose(conn, unix.SHUT_RD)
		return
	}
	p.wg.Go(func() { p.farewell(conn, k) })
}

// tellTorn gives a notice when a worker went in the midst of a message: it, and
// whatever it had queued behind, is lost, on topics that nobody knows. Workers
// of ours keep what a drain cuts off.
func (p *puller) tellTorn(k *link, id string) {
	p.mu.Lock()
	draining, closed := p.draining, p.closed
	p.mu.Unlock()
	torn := k.torn && !isProtocol(k.reason) && (!draining || !k.ours)
	if closed || !torn && !k.hurried.Load() {
		return
	}
	p.cfg.Log.Warn("worker lost with events in hand", "peer", k.address, "id", id)
	p.in.note([]driver.Message{{Notice: driver.Gap, Source: &driver.Source{Publisher: id, Address: k.address}}})
}

// forget removes a connection; the last one of a drain ends it.
func (p *puller) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	p.endDrainLocked()
}

func (p *puller) endDrainLocked() {
	if !p.draining || len(p.conns) > 0 {
		return
	}
	select {
	case <-p.in.drained:
	default:
		close(p.in.drained)
	}
}

// Receive implements driver.Subscriber.
func (p *puller) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return p.in.receive(ctx, dst)
}

// Subscribe does nothing: a PULL gets everything.
func (p *puller) Subscribe(context.Context, ...string) error { return p.alive() }

// Unsubscribe does nothing: a PULL gets everything.
func (p *puller) Unsubscribe(context.Context, ...string) error { return p.alive() }

func (p *puller) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return driver.ErrClosed
	}
	return nil
}

// Drain implements driver.Drainer. A worker's connection is shut for what it
// would send from now on, which the worker keeps for the next service; what it
// has sent is still read. Unix sockets keep these two apart.
//
// A libzmq worker keeps less: it forgets the batch, of up to 8 KiB, of which a
// write fails. It is told by the end of our own stream, see farewell.
func (p *puller) Drain() {
	p.mu.Lock()
	if p.draining || p.closed {
		p.mu.Unlock()
		return
	}
	p.draining = true
	close(p.stopped)
	for conn, k := range p.conns {
		if k == nil {
			_ = conn.SetDeadline(time.Now().Add(farewellTime)) // for the handshake
			continue
		}
		p.dismissLocked(conn, k)
	}
	p.endDrainLocked()
	p.mu.Unlock()
	p.listener.Close()
}

// farewellTime is how long a worker may take for each step of its farewell.
const farewellTime = time.Second

// farewell ends the connection of a worker that is not one of ours, so that it
// loses nothing: at a moment when its socket is empty, and it is not inside a
// message, its next write can't fail, and it looks for the end of our stream
// after each. Of one that floods without a pause, or is stopped, something may
// be lost all the same, and that is told.
func (p *puller) farewell(conn net.Conn, k *link) {
	timeout := time.NewTimer(farewellTime)
	defer timeout.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := false; !late && !k.idle.Load(); {
		select {
		case <-k.gone:
			return
		case <-tick.C:
		case <-timeout.C:
			late = true
			k.hurried.Store(true)
		}
	}
	halfClose(conn, unix.SHUT_WR)
	timeout.Reset(farewellTime)
	select {
	case <-k.gone:
	case <-timeout.C:
		k.hurried.Store(true)
		halfClose(conn, unix.SHUT_RD)
	}
}

// halfClose shuts one direction of a connection.
func halfClose(conn net.Conn, how int) {
	if rc, err := conn.(syscall.Conn).SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), how) })
	}
}

// Close implements driver.Subscriber.
func (p *puller) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		if !p.draining {
			close(p.stopped)
		}
		close(p.in.closed)
		for conn := range p.conns {
			conn.Close()
		}
	}
	p.mu.Unlock()
	p.listener.Close()
	p.wg.Wait()
	return nil
}

// Addr implements driver.Bound.
func (p *puller) Addr() net.Addr { return p.listener.Addr() }

// Status implements driver.Statuser.
func (p *puller) Status() driver.Status {
	return driver.Status{
		Peers:     int(p.peers.Load()),
		Messages:  p.in.messages.Load(),
		Bytes:     p.in.bytes.Load(),
		Refused:   p.refusals.count.Load(),
		Malformed: p.malformed.Load(),
	}
}
