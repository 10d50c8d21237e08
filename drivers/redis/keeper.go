package redis

import (
	"context"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
)

const (
	// maxLooked is how many streams are asked about in one batch.
	maxLooked = 256
	// turn is how many streams are looked at in each interval though nothing
	// was read of them: one that was removed has no entries.
	turn = 4
)

// keep finds out where topics that are new begin, and compares positions with
// streams: of what was read, once in a heartbeat interval, and of everything
// after trouble.
func (r *reader) keep() {
	cfg := &r.replay.site.cfg
	ctx := r.replay.ctx
	retry := backoff.Backoff{Min: cfg.ReconnectMin, Max: cfg.ReconnectMax}
	ticker := time.NewTicker(cfg.HeartbeatInterval)
	defer ticker.Stop()
	for {
		tick := false
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-ticker.C:
			tick = true
		}
		err := r.settle(ctx)
		if err == nil && (tick || r.audit.Load()) {
			err = r.compare(ctx, r.audit.Swap(false))
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry.Reset()
		default:
			r.audit.Store(true)
			r.replay.site.warn("look after streams", "error", err)
			if !wait(ctx, retry.Next()) {
				return
			}
			r.poke()
		}
	}
}

// glance is a stream to be looked at, and what was known of it before.
type glance struct {
	*cursor
	before position
}

// settle finds out where new topics begin: at the end of their streams.
func (r *reader) settle(ctx context.Context) error {
	w := r.replay.wanted
	for {
		var list []glance
		now := time.Now()
		w.mu.Lock()
		for _, c := range r.cursors {
			if !c.ready && !(c.topic.refused && now.Before(c.topic.again)) && len(list) < maxLooked {
				list = append(list, glance{cursor: c})
			}
		}
		w.mu.Unlock()
		if list == nil {
			return nil
		}
		err := r.look(ctx, list, func(g *glance, s state) {
			g.pos = position{s.last, s.added, s.counts || !s.exists}
			late := g.topic.refused
			g.ready, g.dirty = true, true
			w.confirmLocked(g.topic, late, nil)
			if late {
				r.replay.inbox.Tell(driver.Gap, g.topic.name, nil)
			}
		})
		w.mu.Lock()
		r.version++
		version := r.version
		w.mu.Unlock()
		r.unblock(ctx, version)
		if err != nil {
			return err
		}
	}
}

// look asks about streams and calls each with what is said of each, under the
// lock.
func (r *reader) look(ctx context.Context, list []glance, each func(*glance, state)) error {
	cmds := make([]*command, len(list))
	for i, g := range list {
		cmds[i] = &command{bucket: g.bucket, args: []any{"XINFO", "STREAM", g.key}}
	}
	r.aside.run(ctx, cmds)
	w := r.replay.wanted
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range cmds {
		g := &list[i]
		text, ok := answered(c.err)
		s, understood := parseState(c.reply)
		switch {
		case r.cursors[g.topic.name] != g.cursor: // dropped meanwhile
		case c.err == nil && understood, ok && strings.Contains(text, "no such key"):
			each(g, s)
		case c.err != nil && passes(c.err):
			return c.err
		case c.err != nil:
			if !w.refuseLocked(g.topic, c.err, r.replay.site.cfg.ReconnectMax, nil) {
				r.replay.site.warn("look at a stream", "topic", g.topic.name, "error", c.err)
			}
		}
	}
	return nil
}

// compare compares positions with streams, and tells what was lost.
func (r *reader) compare(ctx context.Context, all bool) error {
	w := r.replay.wanted
	var list []glance
	others := turn
	w.mu.Lock()
	for _, c := range r.cursors { // in random order
		if !c.ready || c.topic.refused {
			continue
		}
		if !c.dirty && !all {
			if others--; others < 0 {
				continue
			}
		}
		c.dirty = false
		list = append(list, glance{c, c.pos})
	}
	w.mu.Unlock()
	for len(list) > 0 {
		some := list[:min(len(list), maxLooked)]
		list = list[len(some):]
		if err := r.look(ctx, some, r.found); err != nil {
			return err
		}
	}
	return nil
}

// found acts on what was found out about a stream. Caller holds the lock.
func (r *reader) found(g *glance, s state) {
	f := compare(g.before, s)
	switch {
	case f.reset && g.pos.id != g.before.id:
		g.dirty = true // it was read meanwhile: look again
		return
	case f.reset:
		g.pos = f.to
	default:
		g.pos.added += f.more
	}
	if f.notice == driver.NoNotice {
		return
	}
	if f.notice == driver.Behind {
		r.replay.lost.Add(1)
	}
	r.replay.site.warn("events of a stream are gone", "topic", g.topic.name, "why", f.notice.String())
	r.replay.inbox.Tell(f.notice, g.topic.name, nil)
}
