package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/inbox"
)

// inboxBytes is how much waits for the application before no more is read.
const inboxBytes = 1 << 20

// subscriber implements driver.Subscriber and Statuser with Pub/Sub.
type subscriber struct {
	site   *site
	all    bool
	inbox  *inbox.Inbox
	wanted *wanted

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// wanted's mu guards these.
	everything *topic        // of a subscriber to all topics: the pattern
	dropped    []string      // to be unsubscribed from
	due        driver.Notice // about all topics, once they are in force again

	current         atomic.Pointer[session]
	lost, malformed atomic.Uint64
}

func openSubscriber(ctx context.Context, s *site) (driver.Subscriber, error) {
	sub := &subscriber{site: s, all: s.cfg.AllTopics, inbox: inbox.New(inboxBytes)}
	sub.wanted = newWanted(sub.inbox)
	sub.ctx, sub.cancel = context.WithCancel(context.Background())
	if sub.all {
		sub.everything = &topic{name: pattern(s.channels)}
		sub.wanted.topics[sub.everything.name] = sub.everything
	}
	first, err := openSession(ctx, sub)
	if err != nil {
		sub.cancel()
		return nil, err
	}
	sub.wg.Go(func() { sub.run(first) })
	sub.wg.Go(func() { s.follow(sub.ctx, sub.seat, sub.leave) })
	if sub.all {
		// What is published from now on is to be received.
		if err := sub.await(ctx); err != nil {
			_ = sub.Close()
			return nil, err
		}
	}
	return sub, nil
}

// pattern returns what matches every channel with a prefix.
func pattern(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix) + "*"
}

// await blocks until the pattern is in force.
func (s *subscriber) await(ctx context.Context) error {
	return s.wanted.subscribe(ctx, s.ctx, []string{s.everything.name}, func(*topic) {})
}

func (s *subscriber) seat() string {
	if c := s.current.Load(); c != nil {
		return c.line.addr
	}
	return ""
}

func (s *subscriber) leave(addr string) {
	if c := s.current.Load(); c != nil && c.line.addr == addr {
		s.site.warn("the server is not the right one any more", "server", addr)
		c.end()
	}
}

// run keeps a session, one after the other.
func (s *subscriber) run(c *session) {
	retry := backoff.Backoff{Min: s.site.cfg.ReconnectMin, Max: s.site.cfg.ReconnectMax}
	for {
		s.current.Store(c)
		err := c.run(s.ctx)
		s.current.Store(nil)
		if s.ctx.Err() != nil {
			return
		}
		s.lostSession(c, err)
		for c = nil; c == nil; {
			// The first attempt waits as well: when a server ends, all come
			// back.
			if !wait(s.ctx, retry.Next()) {
				return
			}
			if c, err = openSession(s.ctx, s); err != nil {
				s.site.warn("reconnect", "driver", "redis pub/sub", "error", err)
			}
		}
		retry.Reset()
	}
}

// lostSession notes what has to be told once there is another one.
func (s *subscriber) lostSession(c *session, err error) {
	s.wanted.mu.Lock()
	defer s.wanted.mu.Unlock()
	some := false
	for _, t := range s.wanted.topics {
		some = some || t.inForce
		t.inForce, t.refused = false, false
	}
	if some && s.due == driver.NoNotice {
		s.due = driver.Gap
	}
	if some && c.slow() {
		s.due = driver.Behind
		s.lost.Add(1)
	}
	s.dropped = nil
	s.site.warn("the connection was lost", "driver", "redis pub/sub", "server", c.line.addr, "slow", s.due == driver.Behind, "error", err)
}

// Receive implements driver.Subscriber.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return s.inbox.Receive(ctx, dst)
}

// Subscribe implements driver.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	if s.all {
		return s.await(ctx)
	}
	return s.wanted.subscribe(ctx, s.ctx, topics, func(*topic) {})
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	if s.ctx.Err() != nil {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.all {
		return nil
	}
	s.wanted.mu.Lock()
	for _, name := range topics {
		if s.wanted.dropLocked(name) != nil {
			s.dropped = append(s.dropped, name)
		}
	}
	s.wanted.mu.Unlock()
	s.wanted.poke()
	return nil
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.wanted.mu.Lock()
	s.cancel()
	s.wanted.mu.Unlock()
	s.inbox.Close()
	if c := s.current.Load(); c != nil {
		c.end()
	}
	s.wg.Wait()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	st := driver.Status{Lost: s.lost.Load(), Malformed: s.malformed.Load()}
	if c := s.current.Load(); c != nil {
		st.Peers = 1
		st.Malformed += uint64(c.line.conn.swallow.Load())
	}
	s.inbox.Status(&st)
	return st
}

var errSilent = errors.New("the server gives no sign of life")

// slowFor is for how long after a reader waited for the application the end of
// its connection is put down to that.
const slowFor = 10 * time.Second
