package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
)

const (
	// maxEntries is how many entries of a stream are read at a time.
	maxEntries = 128
	// payloads is how many payloads of the largest size may be in an answer. One
	// that is larger ends the connection, and what it would have brought is read
	// again in small pieces.
	payloads = 16
	// crowd is how many topics a command may name at no cost worth speaking of.
	// For each one more, time is given to more events to come along.
	crowd     = 100
	crowdCost = 10 * time.Microsecond
)

// reader reads the streams of one bucket or, but in a cluster, of all of them:
// one goroutine waits for entries, another one, the keeper, looks after
// positions meanwhile.
type reader struct {
	replay *replay
	lines  *fleet // the reading goroutine's
	aside  *fleet // the keeper's

	// wanted's mu guards these.
	cursors map[string]*cursor
	version int // how many times cursors became ready

	seen    atomic.Int64  // the version that is being read
	changed chan struct{} // one, when there are cursors to read
	wake    chan struct{} // one, when there is something for the keeper
	audit   atomic.Bool   // all positions are to be compared

	// The reading goroutine's.
	pieces bool // read in small pieces, one command for each key
}

func newReader(r *replay) *reader {
	rd := &reader{
		replay: r, lines: newFleet(r.site, true, true), aside: newFleet(r.site, true, true),
		cursors: make(map[string]*cursor), changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	rd.lines.budget = payloads*r.site.cfg.MaxPayload + inboxBytes
	rd.aside.most = 256 // ids and names are shorter, and that is all it wants
	return rd
}

func (r *reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reader) seat() string {
	if r.lines.byKey {
		return ""
	}
	return *r.lines.seat.Load()
}

func (r *reader) leave(addr string) {
	r.lines.leave(addr)
	r.aside.leave(addr)
}

func (r *reader) close() {
	r.lines.close()
	r.aside.close()
}

// place is a cursor as it is being read.
type place struct {
	*cursor
	from id
}

// places returns what can be read.
func (r *reader) places(list []place) []place {
	w := r.replay.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, c := range r.cursors {
		if c.ready && (!c.topic.refused || now.After(c.topic.again)) {
			list = append(list, place{c, c.pos.id})
		}
	}
	r.seen.Store(int64(r.version))
	return list
}

// read reads until the subscriber closes.
func (r *reader) read() {
	cfg := &r.replay.site.cfg
	ctx := r.replay.ctx
	retry := backoff.Backoff{Min: cfg.ReconnectMin, Max: cfg.ReconnectMax}
	var list []place
	for ctx.Err() == nil {
		list = r.places(list[:0])
		if len(list) == 0 {
			r.rest(cfg.HeartbeatInterval)
			continue
		}
		var err error
		if r.pieces {
			err = r.readPieces(list)
		} else {
			err = r.readAll(list)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry.Reset()
		case strings.Contains(err.Error(), errReply.Error()):
			r.pieces = true
		default:
			if _, ok := answered(err); !ok || !strings.HasPrefix(err.Error(), "TRYAGAIN") {
				r.replay.site.warn("read streams", "error", err)
			}
			r.pieces = true
			r.audit.Store(true)
			if !wait(ctx, retry.Next()) {
				return
			}
			r.poke()
		}
	}
}

// rest waits for d, or until there is more to read.
func (r *reader) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.changed:
	case <-r.replay.ctx.Done():
	}
}

// readAll waits for entries of any stream with one command.
func (r *reader) readAll(list []place) error {
	cfg := &r.replay.site.cfg
	block := min(cfg.HeartbeatInterval, cfg.HeartbeatTimeout/2)
	args := make([]any, 0, 6+2*len(list))
	args = append(args, "XREAD", "COUNT", maxEntries, "BLOCK", max(1, block.Milliseconds()), "STREAMS")
	for _, p := range list {
		args = append(args, p.key)
	}
	for _, p := range list {
		args = append(args, p.from.String())
	}
	c := command{bucket: list[0].bucket, args: args}
	r.lines.run(r.replay.ctx, []*command{&c})
	if errors.Is(c.err, goredis.Nil) {
		return nil
	}
	if c.err != nil {
		return c.err
	}
	most, err := r.take(c.reply, list)
	if most >= maxEntries {
		r.pieces = true
	}
	if extra := len(list) - crowd; extra > 0 && err == nil {
		wait(r.replay.ctx, time.Duration(extra)*crowdCost)
	}
	return err
}

// readPieces reads what there is, without waiting, in answers of a bounded size,
// and one command for each key: so can be read what would be too large at once,
// and of a slot that is on its way to another node. It goes back to one command
// when there is no need any more.
func (r *reader) readPieces(list []place) error {
	again := false
	quiet := true
	for len(list) > 0 {
		some := list[:min(len(list), payloads)]
		list = list[len(some):]
		count := payloads / len(some)
		cmds := make([]*command, len(some))
		for i, p := range some {
			cmds[i] = &command{bucket: p.bucket, args: []any{"XREAD", "COUNT", count, "STREAMS", p.key, p.from.String()}}
		}
		r.lines.run(r.replay.ctx, cmds)
		for i, c := range cmds {
			switch {
			case errors.Is(c.err, goredis.Nil):
				continue
			case c.err == nil:
				most, err := r.take(c.reply, some[i:i+1])
				if err != nil {
					return err
				}
				again, quiet = again || most >= count, false
			case !passes(c.err):
				r.refuse(some[i].topic, c.err)
			case strings.HasPrefix(c.err.Error(), "TRYAGAIN"):
				again = true
			default:
				return c.err
			}
			if c.asked != "" {
				again = true
			}
		}
	}
	r.pieces = again
	if again && quiet {
		r.rest(50 * time.Millisecond)
	}
	return nil
}

// refuse says that a stream may not be read.
func (r *reader) refuse(t *topic, err error) {
	w := r.replay.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.refuseLocked(t, err, r.replay.site.cfg.ReconnectMax, nil) {
		r.replay.site.warn("read a stream", "topic", t.name, "error", err)
	}
}

// take passes the entries of an answer on. It returns how many there were of the
// stream that had most.
func (r *reader) take(reply any, list []place) (most int, err error) {
	byKey := make(map[string]*cursor, len(list))
	for _, p := range list {
		byKey[p.key] = p.cursor
	}
	streams, _ := reply.([]any)
	for _, s := range streams {
		pair, _ := s.([]any)
		if len(pair) != 2 {
			continue
		}
		name, _ := pair[0].(string)
		entries, _ := pair[1].([]any)
		c := byKey[name]
		if c == nil {
			continue
		}
		most = max(most, len(entries))
		for _, e := range entries {
			if err := r.pass(c, e); err != nil {
				return most, err
			}
		}
	}
	return most, nil
}

// pass passes one entry on.
func (r *reader) pass(c *cursor, entry any) error {
	pair, _ := entry.([]any)
	if len(pair) != 2 {
		return nil
	}
	text, _ := pair[0].(string)
	at, ok := parseID(text)
	if !ok {
		return nil
	}
	payload := ""
	fields, _ := pair[1].([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == field {
			payload, _ = fields[i+1].(string)
		}
	}
	if payload == "" {
		r.replay.malformed.Add(1) // the core says so to the application
	}
	w := r.replay.wanted
	w.mu.Lock()
	held := r.cursors[c.topic.name] == c
	w.mu.Unlock()
	if !held {
		return nil
	}
	addr := r.lines.seat.Load()
	blocked, err := r.replay.inbox.Put(r.replay.ctx, driver.Message{
		Topic: c.name, Payload: []byte(payload), Source: r.source(*addr),
	})
	if err != nil {
		return err
	}
	if blocked {
		r.pieces = true
	}
	w.mu.Lock()
	c.pos.id, c.dirty = at, true
	c.pos.added++
	w.mu.Unlock()
	return nil
}

func (r *reader) source(addr string) *driver.Source {
	r.replay.wanted.mu.Lock()
	defer r.replay.wanted.mu.Unlock()
	if s := r.replay.source; s != nil && s.Address == addr {
		return s
	}
	r.replay.source = &driver.Source{Address: addr}
	return r.replay.source
}

// unblock has the reading goroutine take up cursors that have become ready.
func (r *reader) unblock(ctx context.Context, version int) {
	select {
	case r.changed <- struct{}{}:
	default:
	}
	// Not for ever: it may wait for the application. Then it takes them up later.
	for pause := time.Millisecond; r.seen.Load() < int64(version) && pause < 500*time.Millisecond; pause *= 2 {
		r.lines.mu.Lock()
		var waiting []*line
		for _, l := range r.lines.lines {
			waiting = append(waiting, l)
		}
		r.lines.mu.Unlock()
		for _, l := range waiting {
			if l.closed.Load() {
				continue
			}
			mine, err := r.aside.line(ctx, l.addr)
			if err == nil {
				_, err = mine.do(ctx, "CLIENT", "UNBLOCK", strconv.FormatInt(l.id, 10))
			}
			if err != nil {
				l.close() // we may not; a new connection does it too
			}
		}
		if !wait(ctx, pause) {
			return
		}
	}
}
