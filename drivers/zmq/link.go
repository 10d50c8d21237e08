package zmq

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

const (
	// maxRequests bounds what this side asked for, its subscriptions, and the
	// peer has not read.
	maxRequests = 32 << 20
	// maxAnswers bounds the answers to heartbeats that the peer has not read.
	maxAnswers = 64 << 10
)

// link is one connection after its handshake, served by two goroutines: one
// reads, one writes. Both end when the connection fails or is closed.
type link struct {
	conn    net.Conn
	cfg     *driver.Config
	peer    zmtp.Peer
	ours    bool
	resumes bool // it gives marks, and goes on from them
	address string

	closing sync.Once
	gone    chan struct{} // closed with the connection
	reason  error         // why; read after gone

	mu      sync.Mutex
	out     []byte // control bytes to write
	answers int    // how many of them are answers
	wake    chan struct{}

	patient bool         // the peer may be silent for as long as it likes
	mute    bool         // the peer has no business to send messages
	pings   atomic.Bool  // the peer understands PING
	waiting atomic.Int64 // since when the reader waits for input, in ns of the clock; 0: it doesn't
	ttl     atomic.Int64 // the peer asked to be dropped when silent for so long, ns
	silent  atomic.Int64 // since when, where that ended the link; 0: something else did

	idle    atomic.Bool // all that came was read, and it ended with a message
	hurried atomic.Bool // it was ended in a way that may have cost its peer messages
	torn    bool        // it ended inside a message; the reader's own

	received uint64 // messages; the reader's own, like
	early    bool   // those that come now are needless: a notice will cover them
	// onCommand, if set, is told of PONGs with a context and of commands that
	// ZMTP doesn't know, and returns notices for this place in the stream.
	onCommand func(name string, data []byte) ([]driver.Message, error)

	malformed *atomic.Uint64
	report    *refusals
}

// began is the origin of the links' clock.
var began = time.Now()

func clock() int64 { return int64(plant.Since(began)) + 1 }

func newLink(conn net.Conn, cfg *driver.Config, peer zmtp.Peer) *link {
	l := &link{
		conn: conn,
		cfg:  cfg,
		peer: peer,
		ours: isOurs(&peer),
		gone: make(chan struct{}),
		wake: make(chan struct{}, 1),
	}
	l.resumes = version(&peer) >= versionResume
	l.pings.Store(peer.Minor >= 1)
	return l
}

// lastHeard returns when the peer gave its last sign of life, after the link
// has ended. That a connection ends is one.
func (l *link) lastHeard() int64 {
	if since := l.silent.Load(); since != 0 {
		return since
	}
	return clock()
}

// close ends the link for a reason. The first reason counts.
func (l *link) close(reason error) {
	l.closing.Do(func() {
		l.reason = reason
		close(l.gone)
		l.conn.Close()
	})
}

// send queues control bytes, whole frames. However many there are, they are
// taken while nothing else waits: all topics after a reconnect.
func (l *link) send(p []byte) {
	l.mu.Lock()
	over := len(l.out) > 0 && len(l.out)+len(p) > maxRequests
	if !over {
		l.out = append(l.out, p...)
	}
	l.mu.Unlock()
	if over {
		l.close(errDeaf)
		return
	}
	l.ring()
}

// answer queues the answer to what the peer asked.
func (l *link) answer(p []byte) error {
	l.mu.Lock()
	l.answers += len(p)
	over := l.answers > maxAnswers
	if !over {
		l.out = append(l.out, p...)
	}
	l.mu.Unlock()
	if over {
		return errDeaf
	}
	l.ring()
	return nil
}

// ring makes the writer look.
func (l *link) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// takeControl returns what waits to be written. If that is something, spare
// takes its place, and is the link's from then on.
func (l *link) takeControl(spare []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.out
	if len(out) > 0 {
		l.out, l.answers = spare[:0], 0
	}
	return out
}

// write writes control bytes and heartbeats until the link ends. feed, where
// there is one, supplies events: it is asked after control bytes were written
// and whenever the link is rung, and writes what it has.
//
// A link without a feed outlives a failed write: what the peer sent before it
// went is still to be read, and the reader finds the end.
func (l *link) write(feed func(net.Conn) error) {
	ticker := time.NewTicker(l.tick())
	defer ticker.Stop()
	var spare []byte
	deaf := false
	pinged := clock()
	for {
		if out := l.takeControl(spare); len(out) > 0 {
			if !deaf {
				if err := l.writeControl(out); err != nil {
					if feed != nil || errors.Is(err, errSilent) {
						l.close(err)
						return
					}
					deaf = true
				}
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
				l.send(ping)
			}
		}
	}
}

// ping is a PING without a context.
var ping = zmtp.AppendPing(nil, 0, nil)

// tick is how often the writer looks at the clock.
func (l *link) tick() time.Duration {
	return max(min(l.cfg.HeartbeatInterval, l.cfg.HeartbeatTimeout)/2, time.Millisecond)
}

// writeControl writes p. A peer that reads slowly is waited for, one that
// gives no sign of life meanwhile is not.
func (l *link) writeControl(p []byte) error {
	for {
		_ = l.conn.SetWriteDeadline(time.Now().Add(l.tick()))
		n, err := l.conn.Write(p)
		if err == nil {
			return l.conn.SetWriteDeadline(time.Time{})
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		p = p[n:]
		if err := l.checkSilence(clock()); err != nil {
			return err
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
		l.silent.CompareAndSwap(0, since)
		return fmt.Errorf("%w for %s", errSilent, time.Duration(silence).Round(time.Millisecond))
	}
	return nil
}

func (l *link) malformedMessage(what string) {
	l.malformed.Add(1)
	l.report.note(what, l.address)
}

func (l *link) command(body []byte) (notices []driver.Message, err error) {
	name, data, err := zmtp.ParseCommand(body)
	if err != nil {
		return nil, err
	}
	switch string(name) {
	case zmtp.CommandPing:
		ttl, context, err := zmtp.ParsePing(data)
		if err != nil {
			return nil, err
		}
		l.pings.Store(true)
		l.ttl.Store(int64(ttl))
		return nil, l.answer(zmtp.AppendPong(nil, context))
	case zmtp.CommandPong:
		context, err := zmtp.ParsePong(data)
		if err != nil || len(context) == 0 || l.onCommand == nil {
			return nil, err
		}
		return l.onCommand(zmtp.CommandPong, context)
	case zmtp.CommandError:
		reason, err := zmtp.ParseError(data)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("peer reports: %q", reason)
	case commandFrom, commandMark:
		if l.onCommand != nil && l.resumes {
			return l.onCommand(string(name), data)
		}
	}
	return nil, nil // unknown commands are ignored
}
