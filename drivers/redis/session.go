package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// maxAsked is how many topics one command names.
const maxAsked = 1000

// asked is a command on a subscription's connection that is not answered yet.
// Answers come in the order of commands, one for each topic, or a single error.
type asked struct {
	ping, drop, pattern bool
	topics              []*topic
	names               []string
}

// session is one connection with subscriptions. One goroutine reads, another
// one writes.
type session struct {
	sub    *subscriber
	line   *line
	pubsub *goredis.PubSub
	source *driver.Source
	ctx    context.Context // ends with the session
	end    context.CancelFunc

	heard   atomic.Int64 // when something was read last, by the local clock
	waiting atomic.Bool  // the reader waits for the application
	waited  atomic.Int64 // when it last did

	mu      sync.Mutex // under wanted's
	pending []asked

	// wanted's mu guards these.
	first map[*topic]bool // those that a notice waits for

	dropping atomic.Bool // what comes before that notice is covered by it
}

// openSession opens a connection. No topic is asked for yet.
func openSession(ctx context.Context, sub *subscriber) (*session, error) {
	// Who is it? A subscribed connection can't ask.
	l, err := sub.site.seat(ctx, false)
	if err != nil {
		return nil, err
	}
	addr := l.addr
	l.close()
	if l, err = sub.site.connect(ctx, addr, sub.site.server); err != nil {
		return nil, sub.site.explain(addr, err)
	}
	c := &session{sub: sub, line: l, source: &driver.Source{Address: addr}, first: make(map[*topic]bool)}
	c.ctx, c.end = context.WithCancel(sub.ctx)
	c.pubsub = l.client.Subscribe(c.ctx)
	context.AfterFunc(c.ctx, func() {
		l.close()
		_ = c.pubsub.Close()
	})
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	c.pending = append(c.pending, asked{ping: true})
	if err := c.pubsub.Ping(ctx); err != nil {
		c.end()
		return nil, sub.site.explain(addr, err)
	}
	c.hear()
	return c, nil
}

func (c *session) hear() { c.heard.Store(time.Now().UnixNano()) }

// slow tells whether the connection may have ended because the application did
// not take what came.
func (c *session) slow() bool {
	return c.waiting.Load() || time.Since(time.Unix(0, c.waited.Load())) < slowFor
}

// run reads until the connection or ctx ends.
func (c *session) run(ctx context.Context) error {
	c.begin()
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read()
	c.end()
	writer.Wait()
	c.sub.malformed.Add(uint64(c.line.conn.swallow.Swap(0)))
	return err
}

// begin notes which topics a notice about all of them has to wait for.
func (c *session) begin() {
	w := c.sub.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.sub.due != driver.NoNotice {
		c.dropping.Store(true)
		for _, t := range w.topics {
			c.first[t] = true
		}
	}
	c.completeLocked()
}

// completeLocked gives the notice when all that it is about are in force.
func (c *session) completeLocked() {
	if c.dropping.Load() && len(c.first) == 0 {
		c.sub.inbox.Tell(c.sub.due, "", c.source)
		c.sub.due = driver.NoNotice
		c.dropping.Store(false)
	}
}

// write asks for what is wanted, and for signs of life, until the session ends.
func (c *session) write() {
	cfg := &c.sub.site.cfg
	ticker := time.NewTicker(cfg.HeartbeatInterval)
	defer ticker.Stop()
	for {
		for {
			a, some := c.work()
			if !some {
				break
			}
			if err := c.send(a); err != nil {
				c.end()
				return
			}
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.sub.wanted.wake:
		case <-ticker.C:
			if c.waiting.Load() {
				c.hear() // it is we who don't read
				continue
			}
			silent := time.Since(time.Unix(0, c.heard.Load()))
			if silent > cfg.HeartbeatTimeout {
				c.sub.site.warn("heartbeat", "server", c.line.addr, "error", errSilent)
				c.end()
				return
			}
			if silent >= cfg.HeartbeatInterval/2 {
				if err := c.send(asked{ping: true}); err != nil {
					c.end()
					return
				}
			}
		}
	}
}

// work returns the next command that is to be sent.
func (c *session) work() (a asked, some bool) {
	w := c.sub.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := min(len(c.sub.dropped), maxAsked); n > 0 {
		a.drop = true
		for _, name := range c.sub.dropped[:n] {
			a.names = append(a.names, c.channel(name, false))
		}
		c.sub.dropped = c.sub.dropped[n:]
		return a, true
	}
	for t := range c.first {
		if t.asked != c && w.topics[t.name] != t {
			delete(c.first, t) // it was dropped before it was asked for
			c.completeLocked()
		}
	}
	now := time.Now()
	for _, t := range w.topics {
		switch {
		case t.asked == c && !t.refused, t.refused && now.Before(t.again):
			continue
		case t.refused && a.topics != nil, len(a.topics) == maxAsked:
			continue // later
		}
		a.pattern = t == c.sub.everything
		a.topics, a.names = append(a.topics, t), append(a.names, c.channel(t.name, a.pattern))
		t.asked = c
		if t.refused {
			// Alone, so that it is not refused with others.
			t.refused = false
			break
		}
	}
	return a, a.topics != nil
}

// channel returns the channel of a topic.
func (c *session) channel(name string, pattern bool) string {
	if pattern {
		return name
	}
	return c.sub.site.channels + name
}

func (c *session) send(a asked) error {
	c.mu.Lock()
	c.pending = append(c.pending, a)
	c.mu.Unlock()
	switch {
	case a.ping:
		return c.pubsub.Ping(c.ctx)
	case a.drop:
		return c.pubsub.Unsubscribe(c.ctx, a.names...)
	case a.pattern:
		return c.pubsub.PSubscribe(c.ctx, a.names...)
	}
	return c.pubsub.Subscribe(c.ctx, a.names...)
}

// read takes what comes, until the connection ends.
func (c *session) read() error {
	for {
		v, err := c.pubsub.Receive(c.ctx)
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		c.hear()
		if err != nil {
			if _, ok := answered(err); !ok {
				return err
			}
			if err := c.refuse(err); err != nil {
				return err
			}
			continue
		}
		switch m := v.(type) {
		case *goredis.Message:
			if err := c.take(m); err != nil {
				return err
			}
		case *goredis.Pong:
			c.answer("")
		case *goredis.Subscription:
			c.answer(m.Kind)
		}
	}
}

// take passes a message on.
func (c *session) take(m *goredis.Message) error {
	if c.dropping.Load() {
		return nil
	}
	if m.Pattern != "" && foreign(m.Channel) {
		return nil
	}
	channel, ours := strings.CutPrefix(m.Channel, c.sub.site.channels)
	if !ours || channel == "" {
		return nil
	}
	c.waiting.Store(true)
	blocked, err := c.sub.inbox.Put(c.ctx, driver.Message{Topic: []byte(channel), Payload: []byte(m.Payload), Source: c.source})
	if blocked {
		c.waited.Store(time.Now().UnixNano())
		c.hear()
	}
	c.waiting.Store(false)
	return err
}

// foreign tells whether a channel is the server's own, or that of Sentinels:
// who asks for everything gets them too.
func foreign(channel string) bool {
	return strings.HasPrefix(channel, "__keyspace@") || strings.HasPrefix(channel, "__keyevent@") ||
		strings.HasPrefix(channel, "__sentinel__:") || strings.HasPrefix(channel, "__redis__:")
}

// answer works off an answer.
func (c *session) answer(kind string) {
	c.mu.Lock()
	if len(c.pending) == 0 {
		c.mu.Unlock()
		return // the server speaks without being asked
	}
	a := &c.pending[0]
	var t *topic
	if len(a.topics) > 0 {
		t = a.topics[0]
		a.topics = a.topics[1:]
	}
	if len(a.names) > 0 {
		a.names = a.names[1:]
	}
	if len(a.names) == 0 {
		c.pending = c.pending[1:]
	}
	c.mu.Unlock()
	if t == nil || !strings.HasSuffix(kind, "subscribe") {
		return
	}
	w := c.sub.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	w.confirmLocked(t, c.first[t], c.source)
	delete(c.first, t)
	c.completeLocked()
}

var errUnasked = errors.New("the server answers what it was not asked")

// refuse works off an error, which answers a whole command. The topics of one
// that named several are asked for one by one.
func (c *session) refuse(err error) error {
	c.mu.Lock()
	if len(c.pending) == 0 {
		c.mu.Unlock()
		return fmt.Errorf("%w: %w", errUnasked, err)
	}
	a := c.pending[0]
	c.pending = c.pending[1:]
	c.mu.Unlock()
	if a.ping || a.drop {
		return nil
	}
	w := c.sub.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(a.topics) > 1 {
		for _, t := range a.topics {
			t.refused, t.again = true, time.Time{}
		}
		w.poke()
		return nil
	}
	t := a.topics[0]
	if !w.refuseLocked(t, err, c.sub.site.cfg.ReconnectMax, c.source) {
		c.sub.site.warn("subscribe", "topic", t.name, "error", err)
	}
	delete(c.first, t)
	c.completeLocked()
	return nil
}
