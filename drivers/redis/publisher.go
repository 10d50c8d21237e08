package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
)

const (
	// batchBytes is how many bytes are on their way to a server at a time.
	batchBytes = 1 << 20
	// maxRenewed is of how many streams a publisher remembers when it renewed
	// their expiry.
	maxRenewed = 1 << 17
	// maxDenied is how many topics are remembered to be refused by the server.
	maxDenied = 1 << 12
)

// publisher implements driver.Publisher and Statuser.
type publisher struct {
	site    *site
	streams bool
	fleet   *fleet
	limit   atomic.Int64 // the longest payload that the server takes

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	busy   chan struct{} // one, in the hands of Publish
	wg     sync.WaitGroup

	cmds    []*command
	args    []command
	renewed map[string]time.Time
	denied  map[string]denial // by topic

	messages, bytes, lost atomic.Uint64
}

// denial is why the server does not take a topic, and until when that is
// believed.
type denial struct {
	err   error
	until time.Time
}

func openPublisher(ctx context.Context, s *site, streams bool) (driver.Publisher, error) {
	p := &publisher{site: s, streams: streams, fleet: newFleet(s, streams, !streams), busy: make(chan struct{}, 1), renewed: make(map[string]time.Time), denied: make(map[string]denial)}
	if err := p.fleet.route(ctx); err != nil {
		p.fleet.close()
		return nil, err
	}
	l, err := p.fleet.line(ctx, *p.fleet.seat.Load())
	if err != nil {
		p.fleet.close()
		return nil, err
	}
	p.limit.Store(int64(l.longest(ctx)))
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(func() {
		s.follow(p.ctx, p.seat, p.fleet.leave)
	})
	return p, nil
}

// seat is where the publisher goes, for follow.
func (p *publisher) seat() string {
	if p.fleet.byKey {
		return "" // answers tell who has a slot
	}
	return *p.fleet.seat.Load()
}

// Publish implements driver.Publisher. It returns when the server has answered.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-p.ctx.Done():
		return 0, driver.ErrClosed
	}
	if p.ctx.Err() != nil {
		return 0, driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(driver.ErrClosed) })()
	for n < len(msgs) {
		var some []driver.Message
		some, err = p.part(msgs[n:])
		done, sendErr := p.send(ctx, some)
		if errors.Is(sendErr, driver.ErrRefused) && errors.Is(sendErr, driver.ErrUnsure) {
			p.rest(ctx, msgs[n+len(some):])
		}
		n += done
		if sendErr != nil {
			return n, sendErr
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// rest sends what is behind a piece in which a message was refused: others of
// that piece have gone, and nobody sends those behind it again.
func (p *publisher) rest(ctx context.Context, msgs []driver.Message) {
	for len(msgs) > 0 {
		some, err := p.part(msgs)
		if _, sendErr := p.send(ctx, some); sendErr != nil && !errors.Is(sendErr, driver.ErrRefused) {
			return
		}
		msgs = msgs[len(some):]
		if err != nil {
			msgs = msgs[1:] // it is refused, too
		}
	}
}

// part returns as many messages as go in one piece, and why not the next one, if
// that is its own fault.
func (p *publisher) part(msgs []driver.Message) ([]driver.Message, error) {
	size := 0
	for i := range msgs {
		length := len(msgs[i].Payload)
		if d, known := p.denied[string(msgs[i].Topic)]; known {
			if time.Now().Before(d.until) {
				return msgs[:i], d.err
			}
			delete(p.denied, string(msgs[i].Topic))
		}
		if length > p.site.cfg.MaxPayload {
			return msgs[:i], fmt.Errorf("%w: %d bytes, more than %d", driver.ErrTooLarge, length, p.site.cfg.MaxPayload)
		}
		if limit := int(p.limit.Load()); length > limit {
			return msgs[:i], driver.WithHint(
				fmt.Errorf("%w: %d bytes, more than the server's proto-max-bulk-len of %d", driver.ErrTooLarge, length, limit),
				"raise proto-max-bulk-len at the server")
		}
		if size += length; i > 0 && size > batchBytes {
			return msgs[:i], nil
		}
	}
	return msgs, nil
}

// send sends messages until the server has taken all of them, one is refused,
// or ctx ends. It returns how many were taken.
func (p *publisher) send(ctx context.Context, msgs []driver.Message) (n int, err error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	all := p.commands(msgs)
	pending := all
	retry := backoff.Backoff{Min: p.site.cfg.ReconnectMin, Max: p.site.cfg.ReconnectMax}
	for {
		p.fleet.run(ctx, pending)
		var again []*command
		refused := false
		var why error
		for _, c := range pending {
			switch {
			case c.err == nil:
			case tooLong(c.err):
				refused = true
				p.learn(c)
			case passes(c.err):
				again = append(again, c)
				why = c.err
			default:
				refused = true
			}
		}
		if again == nil && !refused {
			break
		}
		if refused {
			return p.refused(msgs, all)
		}
		p.site.warn("publish", "driver", p.name(), "waiting", len(again), "error", why)
		if !wait(ctx, retry.Next()) {
			n, _ := taken(all)
			p.count(msgs[:n])
			return n, unsure(fmt.Errorf("%w; the last error: %w", context.Cause(ctx), hinted(why)), all[n:])
		}
		pending = again
	}
	p.renew(ctx, msgs)
	p.count(msgs)
	return len(msgs), nil
}

// commands are what publishes messages.
func (p *publisher) commands(msgs []driver.Message) []*command {
	if cap(p.args) < len(msgs) {
		p.args, p.cmds = make([]command, len(msgs)), make([]*command, len(msgs))
	}
	args, cmds := p.args[:len(msgs)], p.cmds[:len(msgs)]
	for i := range msgs {
		m := &msgs[i]
		c := command{}
		if !p.streams {
			var channel any = m.Topic
			if p.site.channels != "" {
				channel = p.site.channels + string(m.Topic)
			}
			c.args = []any{"PUBLISH", channel, m.Payload}
		} else {
			c.bucket = bucket(m.Topic)
			by, bound := "MAXLEN", strconv.FormatInt(p.site.length, 10)
			if p.site.age > 0 {
				by, bound = "MINID", strconv.FormatInt(time.Now().Add(-p.site.age).UnixMilli(), 10)
			}
			c.args = []any{"XADD", key(p.site.prefix, m.Topic), by, "~", bound, "*", field, m.Payload}
		}
		args[i] = c
		cmds[i] = &args[i]
	}
	return cmds
}

// field is the name of a stream's only field.
const field = "e"

// taken returns how many commands from the first on have succeeded, and why not
// the next one.
func taken(cmds []*command) (int, error) {
	for i, c := range cmds {
		if c.err != nil {
			return i, c.err
		}
	}
	return len(cmds), nil
}

// refused says which message the server doesn't want. Those behind it may have
// been taken.
func (p *publisher) refused(msgs []driver.Message, cmds []*command) (int, error) {
	n, err := taken(cmds)
	for i, c := range cmds {
		if c.err == nil {
			p.count(msgs[i : i+1])
		}
	}
	if tooLong(err) {
		err = fmt.Errorf("%w: %d bytes, more than the server's proto-max-bulk-len", driver.ErrTooLarge, len(msgs[n].Payload))
	} else if err != nil {
		err = p.deny(&msgs[n], err)
	}
	return n, unsure(err, cmds[n:])
}

// deny explains why a message was refused. If that is its topic's fault, the
// topic is not tried again for a while: those behind it would be sent twice, over
// and over.
func (p *publisher) deny(m *driver.Message, err error) error {
	about := hinted(fmt.Errorf("topic %q: %w", m.Topic, err))
	if !denied(err) {
		return about
	}
	about = fmt.Errorf("%w: %w", driver.ErrRefused, about)
	if len(p.denied) >= maxDenied {
		clear(p.denied)
	}
	p.denied[string(m.Topic)] = denial{about, time.Now().Add(p.site.cfg.ReconnectMax)}
	return about
}

// unsure adds to an error that some of the messages that were not accepted may
// have reached the server, if that is so.
func unsure(err error, cmds []*command) error {
	for _, c := range cmds {
		if c.err == nil || c.unsure {
			return fmt.Errorf("%w: %w", driver.ErrUnsure, err)
		}
	}
	return err
}

// learn remembers that a payload was longer than the server takes.
func (p *publisher) learn(c *command) {
	payload, _ := c.args[len(c.args)-1].([]byte)
	p.limit.Store(min(p.limit.Load(), int64(len(payload)-1)))
}

func (p *publisher) count(msgs []driver.Message) {
	p.messages.Add(uint64(len(msgs)))
	size := 0
	for i := range msgs {
		size += len(msgs[i].Payload)
	}
	p.bytes.Add(uint64(size))
}

// renew has the streams of topics live on, now and then. It is no harm if that
// fails: others do it, and later we.
func (p *publisher) renew(ctx context.Context, msgs []driver.Message) {
	if !p.streams || p.site.expire == 0 {
		return
	}
	now := time.Now()
	var cmds []*command
	for i := range msgs {
		topic := msgs[i].Topic
		if now.Sub(p.renewed[string(topic)]) < p.site.expire/4 {
			continue
		}
		if len(p.renewed) >= maxRenewed {
			clear(p.renewed)
		}
		p.renewed[string(topic)] = now
		cmds = append(cmds, &command{bucket: bucket(topic), args: []any{
			"PEXPIRE", key(p.site.prefix, topic), strconv.FormatInt(p.site.expire.Milliseconds(), 10),
		}})
	}
	if cmds != nil {
		p.fleet.run(ctx, cmds)
		for _, c := range cmds {
			if c.err != nil {
				p.site.warn("renew the expiry of streams", "driver", p.name(), "error", c.err)
			}
		}
	}
}

func (p *publisher) name() string { return Driver{Streams: p.streams}.Capabilities().Name }

// Flush implements driver.Publisher: what was accepted the server has.
func (p *publisher) Flush(ctx context.Context) error {
	if p.ctx.Err() != nil {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.cancel()
	p.fleet.close()
	p.busy <- struct{}{} // until Publish has returned
	<-p.busy
	p.wg.Wait()
	return nil
}

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	return driver.Status{Peers: p.fleet.peers(), Messages: p.messages.Load(), Bytes: p.bytes.Load(), Lost: p.lost.Load()}
}

// wait waits for d and tells whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
