package mem

import (
	"bytes"
	"context"
	"net"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// publisher implements driver.Publisher, Bound and Statuser.
type publisher struct {
	hub    *Hub
	room   room
	cfg    driver.Config
	source *driver.Source

	// The hub's mu guards these.
	closed bool
	status driver.Status
}

func (h *Hub) newPublisherLocked(r room, cfg driver.Config) *publisher {
	p := &publisher{
		hub: h, room: r, cfg: cfg,
		source: &driver.Source{Publisher: cfg.ID, Address: r.name.uri()},
	}
	h.membersLocked(r).publishers[p] = struct{}{}
	h.notifyLocked()
	return p
}

// Publish implements driver.Publisher.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	for n < len(msgs) {
		if p.closed {
			return n, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if len(msgs[n].Payload) > p.cfg.MaxPayload {
			return n, driver.ErrTooLarge
		}
		if !p.deliverLocked(&msgs[n]) {
			if err := p.hub.waitLocked(ctx); err != nil {
				return n, err
			}
			continue
		}
		n++
	}
	return n, nil
}

// deliverLocked puts a message into the queue of every subscriber that takes
// it, or into none: what was not accepted must have reached nobody. It returns
// false when it has to wait.
func (p *publisher) deliverLocked(m *driver.Message) bool {
	size := int64(len(m.Payload))
	absent := p.room.hop == driver.IPC
	for s := range p.hub.rooms[p.room].subscribers {
		if !s.takesLocked(m.Topic) {
			continue
		}
		if s.draining || s.size > 0 && s.size+size > p.cfg.Queue {
			return false
		}
		absent = false
	}
	if absent {
		return false
	}
	var kept driver.Message // one copy for all
	for s := range p.hub.rooms[p.room].subscribers {
		if !s.takesLocked(m.Topic) {
			continue
		}
		if kept.Source == nil {
			kept = driver.Message{Topic: bytes.Clone(m.Topic), Payload: bytes.Clone(m.Payload), Source: p.source}
		}
		s.queue = append(s.queue, kept)
		s.size += size
		p.status.Deliveries++
	}
	p.status.Messages++
	p.status.Bytes += uint64(size)
	p.hub.notifyLocked()
	return true
}

// Flush implements driver.Publisher. What was accepted is in the queue of
// whoever takes it.
func (p *publisher) Flush(ctx context.Context) error {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.closed {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if !p.closed {
		p.closed = true
		delete(p.hub.rooms[p.room].publishers, p)
		p.hub.tidyLocked(p.room)
		p.hub.notifyLocked()
	}
	return nil
}

// Addr implements driver.Bound.
func (p *publisher) Addr() net.Addr { return p.room.name }

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	status := p.status
	if !p.closed {
		for s := range p.hub.rooms[p.room].subscribers {
			status.Peers++
			status.Retained += s.size
		}
	}
	return status
}
