package nats

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"

	client "github.com/nats-io/nats.go"
)

// link is a connection to one of the servers that is made again whenever it is
// lost.
//
// The client library can do that itself, but then nobody can tell on which
// connection a message went: those written around a cut may go on the next one
// while earlier ones are lost. So here each connection is a session of its own,
// and what to send again on the next one is up to who sent it.
type link struct {
	settings *settings
	options  client.Options
	log      *slog.Logger
	// begin makes a new session ready, before anybody else sees it. An error
	// ends it, and another one is tried.
	begin func(ctx context.Context, s *session) error
	// trouble is told of errors that belong to no call; nil: nobody.
	trouble func(s *session, sub *client.Subscription, err error)

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	now     *session      // nil: not connected
	changed chan struct{} // closed when now changes
	warned  lograte.Limiter
}

// session is one connection. Once lost it is never used again.
type session struct {
	nc     *client.Conn
	number int           // of the link's; the first is 1
	lost   chan struct{} // closed when the connection is
	raw    *dialer

	mu    sync.Mutex
	noted error         // the last error that trouble was told of
	news  chan struct{} // closed when it changes

	// What the publisher or subscriber keeps of it; set by begin.
	inbox string // where answers come
	acks  chan *client.Msg
	subs  *subscriptions
}

// newLink returns a link that is not connected yet. servers are checked.
func newLink(s *settings, servers []string, inProcess client.InProcessConnProvider) (*link, error) {
	o, err := s.clientOptions(servers)
	if err != nil {
		return nil, err
	}
	cfg := &s.cfg
	o.Name = "wyvern " + cfg.ID
	o.AllowReconnect = false
	o.SkipHostLookup = true // the dialer looks up
	o.Timeout = min(cfg.HandshakeTimeout, 5*time.Second)
	o.FlusherTimeout = cfg.HeartbeatTimeout
	o.PingInterval = cfg.HeartbeatInterval
	o.MaxPingsOut = max(1, int(cfg.HeartbeatTimeout/cfg.HeartbeatInterval)-1)
	o.InProcessServer = inProcess
	o.ReconnectOnFlusherError = true // which ends the session
	l := &link{settings: s, options: o, log: cfg.Log, changed: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// open connects, and keeps connected until close.
func (l *link) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.settings.cfg.HandshakeTimeout)
	defer cancel()
	s, err := l.connect(ctx, 1)
	if err != nil {
		return err
	}
	l.set(s)
	l.done.Go(func() { l.keep(s) })
	return nil
}

// background is open that does not wait for a server to be there.
func (l *link) background() { l.done.Go(func() { l.keep(nil) }) }

// keep makes a session again when it is lost.
func (l *link) keep(s *session) {
	b := backoff.Backoff{Min: l.settings.cfg.ReconnectMin, Max: l.settings.cfg.ReconnectMax}
	number := 0
	if s != nil {
		number = s.number
	}
	for {
		if s != nil {
			select {
			case <-s.lost:
				l.warned.Warn(l.log, "connection lost", "servers", l.names(), "error", s.nc.LastError())
			case <-l.ctx.Done():
			}
			l.set(nil)
			s.end()
			s = nil
			if !wait(l.ctx, b.Next()) {
				return
			}
		}
		next, err := l.connect(l.ctx, number+1)
		if l.ctx.Err() != nil {
			if err == nil {
				next.end()
			}
			return
		}
		if err != nil {
			l.warned.Warn(l.log, "connect", "error", err)
			if !wait(l.ctx, b.Next()) {
				return
			}
			continue
		}
		b.Reset()
		s, number = next, number+1
		l.log.Info("connected", "server", s.nc.ConnectedUrlRedacted(), "times", number)
		l.set(s)
	}
}

// wait blocks for d, and returns false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *link) set(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s != nil && len(s.nc.DiscoveredServers()) > 0 && !l.options.IgnoreDiscoveredServers {
		l.options.Servers = s.nc.Servers() // of the cluster, for the next time
	}
	l.now = s
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *link) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return redacted(l.options.Servers)
}

// current returns the session, or nil, and what is closed when that changes.
func (l *link) current() (*session, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.changed
}

// await blocks until there is a session, ctx ends, or the link is closed.
func (l *link) await(ctx context.Context) (*session, error) {
	for {
		s, changed := l.current()
		if l.ctx.Err() != nil {
			return nil, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s != nil {
			select {
			case <-s.lost: // keep will say so in a moment
			default:
				return s, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
	}
}

// connect makes one session; ctx bounds that only.
func (l *link) connect(ctx context.Context, number int) (*session, error) {
	l.mu.Lock()
	o := l.options
	l.mu.Unlock()
	s := &session{number: number, lost: make(chan struct{}), news: make(chan struct{}), raw: &dialer{ctx: ctx, timeout: o.Timeout}}
	stop := context.AfterFunc(ctx, s.raw.abort)
	defer stop()
	o.CustomDialer = s.raw
	o.ClosedCB = func(*client.Conn) { close(s.lost) }
	o.AsyncErrorCB = func(_ *client.Conn, sub *client.Subscription, err error) {
		l.warned.Warn(l.log, "server or connection", "error", err)
		if l.trouble != nil {
			l.trouble(s, sub, err)
		}
		s.note(err)
	}
	var err error
	if s.nc, err = o.Connect(); err != nil {
		if ctx.Err() != nil {
			if err = ctx.Err(); errors.Is(context.Cause(ctx), context.Canceled) {
				return nil, err
			}
		}
		return nil, l.settings.explain(err, o.Servers)
	}
	if l.begin != nil {
		if err = l.begin(ctx, s); err != nil {
			s.end()
			return nil, err
		}
	}
	return s, nil
}

// note says that trouble was told of an error.
func (s *session) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted = err
	close(s.news)
	s.news = make(chan struct{})
}

// settle blocks until trouble was told of all that the server has said so far:
// the client library has a goroutine for that, which may be late.
func (s *session) settle(ctx context.Context) {
	last := s.nc.LastError()
	if last == nil {
		return
	}
	bound := time.Second // a safeguard
	// Most errors are values of their own. This one is always the same, so
	// nobody knows whether it was told of the last one.
	again := errors.Is(last, client.ErrMaxSubscriptionsExceeded)
	if again {
		bound = 50 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		s.mu.Lock()
		noted, news := s.noted, s.news
		s.mu.Unlock()
		if last = s.nc.LastError(); last == noted && !again {
			return
		}
		select {
		case <-news:
		case <-s.lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// maxPayload is what the server takes, with what goes with a payload. It may
// change while the connection stands.
func (s *session) maxPayload() int64 { return s.nc.MaxPayload() }

// end closes the connection and waits for it.
func (s *session) end() {
	// What is written to a peer that takes nothing holds the client's lock.
	t := time.AfterFunc(100*time.Millisecond, s.raw.abort)
	defer t.Stop()
	s.nc.Close()
	<-s.lost
}

// flush blocks until the server has taken in everything that was sent, and
// trouble was told of what it did not permit.
func (s *session) flush(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc // the client insists
		ctx, cancel = context.WithTimeout(ctx, time.Hour)
		defer cancel()
	}
	err := s.nc.FlushWithContext(ctx)
	if err != nil && ctx.Err() == nil {
		return errLost
	}
	s.settle(ctx)
	return err
}

// close ends everything and waits for it.
func (l *link) close() {
	l.stop()
	l.done.Wait()
}

// connected says whether there is a session.
func (l *link) connected() bool {
	s, _ := l.current()
	return s != nil
}

// dialer dials for one session, and can end what it dialled.
type dialer struct {
	ctx     context.Context // of the opening
	timeout time.Duration

	mu      sync.Mutex
	conn    net.Conn
	aborted bool
}

// Dial implements the client's CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout, KeepAlive: 15 * time.Second}).DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aborted {
		conn.Close()
		return nil, context.Cause(d.ctx)
	}
	d.conn = conn
	return conn, nil
}

// abort ends the connection, and those to come.
func (d *dialer) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aborted = true; d.conn != nil {
		d.conn.Close()
	}
}
