package zmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// publisher is PUB: it binds, and sends from the shared log.
type publisher struct {
	cfg      driver.Config
	listener net.Listener
	fan      *fanlog.Fanout
	frames   []fanlog.Frame // Publish's own
	headers  []byte         // likewise

	hello     zmtp.HandshakeConfig
	ended     *ended
	admission *admission
	refusals  refusals
	messages  atomic.Uint64
	bytes     atomic.Uint64
	malformed atomic.Uint64

	introduced atomic.Int64 // peers that completed the handshake
	slow       atomic.Int64 // those of them that don't take what they are sent

	// Each has a rate of its own: what one peer makes happen must not hide
	// what another one suffers.
	slowLog, lostLog lograte.Limiter

	once   sync.Once
	closed chan struct{}
	wg     sync.WaitGroup // the accept loop
}

func openPublisher(ctx context.Context, cfg driver.Config) (*publisher, error) {
	if err := checkParams(&cfg); err != nil {
		return nil, err
	}
	ep, err := bindEndpoint(&cfg)
	if err != nil {
		return nil, err
	}
	var l net.Listener
	if ep.network == "unix" {
		l, err = listenUnix(ctx, ep.address, ownerName(&cfg), false)
	} else {
		l, err = listenTCP(ctx, ep)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	gone := newEnded(cfg.Crashed, now)
	fan, err := fanlog.New(fanlog.Options{
		Restore:          cfg.Restore,
		Retention:        max(cfg.Retention, 8*int64(cfg.MaxPayload)),
		MaxSubscriptions: cfg.MaxSubscriptions,
		Tick:             min(cfg.HeartbeatInterval/2, 250*time.Millisecond),
		Log:              cfg.Log,
	})
	if err == nil && cfg.Restore != nil {
		if err = gone.restore(cfg.Restore, now); err != nil {
			fan.Close()
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	cfg.Restore = nil
	p := &publisher{
		cfg:       cfg,
		listener:  l,
		fan:       fan,
		admission: newAdmission(cfg.MaxPeers, cfg.MaxPerAddress),
		hello:     zmtp.HandshakeConfig{SocketType: zmtp.Pub, AsServer: true, Properties: ours(&cfg)},
		ended:     gone,
		refusals:  refusals{log: cfg.Log, what: "subscriber refused"},
		closed:    make(chan struct{}),
	}
	p.wg.Go(p.accept)
	return p, nil
}

// ownerName is what a second process on the same socket is told.
func ownerName(cfg *driver.Config) string {
	host, _ := os.Hostname()
	return fmt.Sprintf("publisher %s (process %d on %s, since %s)", cfg.ID, os.Getpid(), host, time.Now().Format(time.RFC3339))
}

// accept hands connections to the loops.
func (p *publisher) accept() {
	l := &spareListener{Listener: p.listener, spare: -1}
	defer l.drop()
	acceptAll(l, p.closed, p.cfg.Log, func(conn net.Conn) {
		address := remoteName(conn)
		g, err := p.admission.admit(originOf(conn))
		if err != nil {
			p.refusals.add(address, err)
			conn.Close()
			return
		}
		fd, err := takeDescriptor(conn, l.drop)
		if err != nil {
			g.leave()
			p.refusals.add(address, err)
			return
		}
		h := &peer{pub: p, guest: g, address: address, hs: zmtp.NewHandshake(p.hello), began: time.Now()}
		h.heard, h.inputs, h.ends = h.began, newInputs(h.began, p.cfg.HeartbeatInterval), p.ended.ends.Load()
		g.end = p.fan.Attach(fd, h, h.hs.Start(nil))
	})
}

// takeDescriptor takes a connection away from the runtime's poller: the loops
// have their own. room makes room for another descriptor.
func takeDescriptor(conn net.Conn, room func()) (int, error) {
	defer conn.Close()
	rc, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	cerr := rc.Control(func(orig uintptr) {
		if fd, err = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 0); err == unix.EMFILE || err == unix.ENFILE {
			room()
			fd, err = unix.FcntlInt(orig, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err = errors.Join(cerr, err); err != nil {
		return -1, fmt.Errorf("duplicate descriptor: %w", err)
	}
	if _, ok := conn.(*net.TCPConn); ok {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
		setUserTimeout(fd, unackedTimeout)
	}
	return fd, nil
}

// Publish appends to the log. It blocks only while subscribers that read as
// fast as they can are half of the retention behind.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (int, error) {
	p.frames, p.headers = p.frames[:0], p.headers[:0]
	var tooLarge error
	for i := range msgs {
		m := &msgs[i]
		if len(m.Payload) > p.cfg.MaxPayload {
			tooLarge = driver.ErrTooLarge
			break
		}
		// Both headers and the topic are built in one place; growing it leaves
		// earlier frames with the old array, which is as good.
		start := len(p.headers)
		p.headers = zmtp.AppendFrame(p.headers, true, m.Topic)
		p.headers = zmtp.AppendFrameHeader(p.headers, 0, len(m.Payload))
		p.frames = append(p.frames, fanlog.Frame{
			Topic: m.Topic,
			Parts: [3][]byte{p.headers[start:len(p.headers):len(p.headers)], m.Payload},
		})
	}
	n, err := p.fan.Append(ctx, p.frames)
	var total uint64
	for i := range msgs[:n] {
		total += uint64(len(msgs[i].Payload))
	}
	clear(p.frames) // the bytes are the caller's again
	p.messages.Add(uint64(n))
	p.bytes.Add(total)
	if errors.Is(err, fanlog.ErrClosed) {
		err = driver.ErrClosed
	}
	if err == nil {
		err = tooLarge
	}
	return n, err
}

// Flush waits until every subscriber's host has acknowledged everything.
// Subscribers that have taken nothing for a second are not waited for.
func (p *publisher) Flush(ctx context.Context) error {
	err := p.fan.Flush(ctx)
	if errors.Is(err, fanlog.ErrClosed) {
		return driver.ErrClosed
	}
	return err
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.listener.Close()
	})
	p.wg.Wait()
	return p.fan.Close()
}

// Save implements driver.Saver.
func (p *publisher) Save(w io.Writer) error {
	if err := p.fan.Save(w); err != nil {
		return err
	}
	return p.ended.save(w)
}

// Addr implements driver.Bound.
func (p *publisher) Addr() net.Addr { return p.listener.Addr() }

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	st := p.fan.Stats()
	return driver.Status{
		Peers:     int(p.introduced.Load()),
		Messages:  p.messages.Load(),
		Bytes:     p.bytes.Load(),
		Refused:   p.refusals.count.Load(),
		Malformed: p.malformed.Load(),
		Lost:      st.Lost,
		Slow:      int(p.slow.Load()),
		Retained:  st.Retained,
	}
}
