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
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// maxControl bounds the bytes that wait to be written to a peer besides
// events: subscriptions and heartbeats.
const maxControl = 32 << 20

// link is one connection after its handshake, served by two goroutines: one
// reads, one writes. Both end when the connection fails or is closed.
type link struct {
	conn    net.Conn
	cfg     *driver.Config
	peer    zmtp.Peer
	ours    bool
	address string

	closing sync.Once
	gone    chan struct{} // closed with the connection
	reason  error         // why; read after gone

	mu   sync.Mutex
	out  []byte // control bytes to write
	wake chan struct{}

	patient bool         // the peer may be silent for as long as it likes
	pings   atomic.Bool  // the peer understands PING
	waiting atomic.Int64 // since when the reader waits for input, in ns of the clock; 0: it doesn't
	ttl     atomic.Int64 // the peer asked to be dropped when silent for so long, ns
	onPong  func(context []byte)

	malformed *atomic.Uint64
	report    *refusals
	skip      bool // the reader is inside a message that has too many frames
}

// began is the origin of the links' clock.
var began = time.Now()

func clock() int64 { return int64(time.Since(began)) + 1 }

// shake performs the handshake on a fresh connection and returns what came
// after it. The connection's deadline bounds it.
func shake(conn net.Conn, hello zmtp.HandshakeConfig) (peer zmtp.Peer, rest []byte, err error) {
	hs := zmtp.NewHandshake(hello)
	if _, err := conn.Write(hs.Start(nil)); err != nil {
		return peer, nil, err
	}
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("closed by peer during the handshake")
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errHandshakeTimeout
			}
			return peer, nil, err
		}
		out, used, err := hs.Input(nil, buf[:n])
		if len(out) > 0 {
			if _, werr := conn.Write(out); werr != nil && err == nil {
				err = werr
			}
		}
		if err != nil {
			return peer, nil, err
		}
		if hs.Done() {
			return hs.Peer(), append([]byte(nil), buf[used:n]...), nil
		}
	}
}

func newLink(conn net.Conn, cfg *driver.Config, peer zmtp.Peer) *link {
	l := &link{
		conn: conn,
		cfg:  cfg,
		peer: peer,
		ours: isOurs(&peer),
		gone: make(chan struct{}),
		wake: make(chan struct{}, 1),
	}
	l.pings.Store(peer.Minor >= 1)
	return l
}

// close ends the link for a reason. The first reason counts.
func (l *link) close(reason error) {
	l.closing.Do(func() {
		l.reason = reason
		close(l.gone)
		l.conn.Close()
	})
}

// send queues control bytes, whole frames.
func (l *link) send(p []byte) {
	l.mu.Lock()
	over := len(l.out)+len(p) > maxControl
	if !over {
		l.out = append(l.out, p...)
	}
	l.mu.Unlock()
	if over {
		l.close(errors.New("peer does not read what it is told"))
		return
	}
	l.ring()
}

// ring makes the writer look.
func (l *link) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) takeControl(spare []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.out
	l.out = spare[:0]
	return out
}

// write writes control bytes and heartbeats until the link ends. feed, where
// there is one, supplies events: it is asked after control bytes were written
// and whenever the link is rung, and writes what it has.
func (l *link) write(feed func(net.Conn) error) {
	ticker := time.NewTicker(max(min(l.cfg.HeartbeatInterval, l.cfg.HeartbeatTimeout)/2, time.Millisecond))
	defer ticker.Stop()
	var spare []byte
	pinged := clock()
	for {
		if out := l.takeControl(spare); len(out) > 0 {
			if _, err := l.conn.Write(out); err != nil {
				l.close(err)
				return
			}
			if spare = out; cap(spare) > chunkSize {
				spare = nil
			}
		}
		if feed != nil {
			if err := feed(l.conn); err != nil {
				l.close(err)
				return
			}
		}
		select {
		case <-l.wake:
		case <-l.gone:
			return
		case <-ticker.C:
			now := clock()
			if err := l.checkSilence(now); err != nil {
				l.close(err)
				return
			}
			if !l.patient && l.pings.Load() && now-pinged >= int64(l.cfg.HeartbeatInterval) {
				pinged = now
				l.send(zmtp.AppendPing(nil, 0, nil))
			}
		}
	}
}

// checkSilence finds out whether the reader has waited for too long. While it
// doesn't wait, because what it read before is not worked off, the peer is not
// to blame.
func (l *link) checkSilence(now int64) error {
	since := l.waiting.Load()
	if since == 0 {
		return nil
	}
	silence := now - since
	ttl := l.ttl.Load()
	if ttl > 0 && silence > ttl || !l.patient && l.pings.Load() && silence > int64(l.cfg.HeartbeatTimeout) {
		return fmt.Errorf("%w for %s", errSilent, time.Duration(silence).Round(time.Millisecond))
	}
	return nil
}

// read reads messages into the inbox until the link ends. rest came with the
// handshake. limit bounds a frame.
func (l *link) read(in *inbox, rest []byte, limit int, src *driver.Source) {
	from := newSource()
	tail := rest // of the stream: the beginning of a message
	rc, err := l.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		l.close(err)
		return
	}
	for {
		// One chunk of the connection's credit is in this goroutine's hands,
		// or will be.
		select {
		case <-from.credit:
		case <-l.gone:
			return
		case <-in.closed:
			return
		}
		c := (*chunk)(nil)
		have := 0
		if len(tail) > 0 {
			c = takeChunk()
			have = copy(c.room(len(tail)), tail)
			tail = tail[:0]
		}
		for {
			var need, used int
			if have > 0 {
				if used, need, err = l.parse(c, have, limit, src); err != nil {
					l.close(err)
				}
				if len(c.msgs) > 0 || err != nil {
					// What is incomplete begins the next chunk.
					tail = append(tail, c.buf[used:have]...)
					break
				}
				// Only control frames, or less than a message: go on in place.
				have = copy(c.buf, c.buf[used:have])
				if need = max(need, have+1); need > len(c.buf) {
					c.grow(need)
				}
			}
			if have == 0 && c != nil {
				c.giveBack()
				c = nil
			}
			var n int
			if c, n, err = l.fill(rc, c, have); err != nil {
				l.close(err)
				return
			}
			have += n
		}
		if len(c.msgs) > 0 {
			c.from = from
			if !in.put(c) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// room returns the chunk's buffer, made large enough for n bytes and some.
func (c *chunk) room(n int) []byte {
	if n >= len(c.buf) {
		c.grow(n + 1)
	}
	return c.buf
}

// grow enlarges the buffer to n bytes at least.
func (c *chunk) grow(n int) {
	buf := make([]byte, max(n, 2*len(c.buf)))
	copy(buf, c.buf)
	c.buf = buf
}

// fill reads what there is behind have bytes of c. An idle connection holds no
// chunk: with c nil, one is taken only once there is input.
func (l *link) fill(rc syscall.RawConn, c *chunk, have int) (*chunk, int, error) {
	var n int
	var err error
	l.waiting.Store(clock())
	rerr := rc.Read(func(fd uintptr) bool {
		mine := c
		if mine == nil {
			mine = takeChunk()
		}
		for {
			n, err = unix.Read(int(fd), mine.buf[have:])
			if err != unix.EINTR {
				break
			}
		}
		if err == unix.EAGAIN {
			if c == nil {
				mine.giveBack()
			}
			return false
		}
		c = mine
		return true
	})
	l.waiting.Store(0)
	if rerr != nil {
		return c, 0, rerr
	}
	if err != nil {
		return c, 0, err
	}
	if n == 0 {
		return c, 0, io.EOF
	}
	return c, n, nil
}

// parse cuts c.buf[:have] into messages. It returns how much it used, and how
// many bytes the rest wants to be. An error is a violation of the protocol.
func (l *link) parse(c *chunk, have, limit int, src *driver.Source) (used, need int, err error) {
	for {
		p := c.buf[used:have]
		f, n, want, err := zmtp.ParseFrame(p, limit)
		if err != nil {
			return used, 0, err
		}
		if n == 0 {
			return used, want, nil
		}
		if f.Command {
			if err := l.command(f.Body); err != nil {
				return used, 0, err
			}
			used += n
			continue
		}
		if l.skip {
			l.skip = f.More
			used += n
			continue
		}
		if !f.More {
			l.malformedMessage("message has one frame, not two")
			used += n
			continue
		}
		body, m, want, err := zmtp.ParseFrame(p[n:], limit)
		if err != nil {
			return used, 0, err
		}
		if m == 0 {
			return used, n + want, nil
		}
		if body.Command { // between the frames of a message
			return used, 0, errors.New("command inside a message")
		}
		used += n + m
		if body.More {
			l.skip = true
			l.malformedMessage("message has more than two frames")
			continue
		}
		c.msgs = append(c.msgs, driver.Message{Topic: f.Body, Payload: body.Body, Source: src})
	}
}

func (l *link) malformedMessage(what string) {
	l.malformed.Add(1)
	l.report.note(what, l.address)
}

func (l *link) command(body []byte) error {
	name, data, err := zmtp.ParseCommand(body)
	if err != nil {
		return err
	}
	switch string(name) {
	case zmtp.CommandPing:
		ttl, context, err := zmtp.ParsePing(data)
		if err != nil {
			return err
		}
		l.pings.Store(true)
		l.ttl.Store(int64(ttl))
		l.send(zmtp.AppendPong(nil, context))
	case zmtp.CommandPong:
		context, err := zmtp.ParsePong(data)
		if err != nil {
			return err
		}
		if l.onPong != nil && len(context) > 0 {
			l.onPong(context)
		}
	case zmtp.CommandError:
		reason, err := zmtp.ParseError(data)
		if err != nil {
			return err
		}
		return fmt.Errorf("peer reports: %q", reason)
	}
	return nil // unknown commands are ignored
}

// await waits for a duration or until ctx ends.
func await(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
