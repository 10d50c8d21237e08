package mem

import (
	"context"
	"strconv"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	both := driver.Publishes | driver.Subscribes
	driver.Register(driver.Alias{
		Name:    "mem",
		Network: driver.Part{Driver: Driver{}, Roles: both},
		IPC:     driver.Part{Driver: Driver{Hop: driver.IPC}, Roles: both},
	})
}

// Driver implements driver.Driver.
type Driver struct {
	// Hub is where the halves meet; default: one that all of the process
	// shares.
	Hub *Hub
	// Hop is where the driver works; default driver.Network.
	Hop driver.Hop
}

// Hub is a set of names and of those who use them. The zero value is empty and
// ready.
type Hub struct {
	mu      sync.Mutex
	rooms   map[room]*members
	named   int           // the last free name given
	changed chan struct{} // closed when anything changes; nil: nobody waits
}

// room is a name on a hop.
type room struct {
	hop  driver.Hop
	name addr
}

// members use a name. On the network one publisher has bound it, on the IPC hop
// one subscriber.
type members struct {
	publishers  map[*publisher]struct{}
	subscribers map[*subscriber]struct{}
}

var shared Hub

// Capabilities implements driver.Driver.
func (d Driver) Capabilities() driver.Capabilities {
	c := driver.Capabilities{
		Name: "mem " + d.Hop.String(), Binds: driver.Publishes,
		Ordered: true, Filters: true, Confirms: true, Identifies: true, Liveness: true,
	}
	if d.Hop == driver.IPC {
		c.Binds, c.Filters = driver.Subscribes, false
	}
	return c
}

func (d Driver) hub() *Hub {
	if d.Hub == nil {
		return &shared
	}
	return d.Hub
}

// OpenPublisher implements driver.Driver.
func (d Driver) OpenPublisher(_ context.Context, cfg driver.Config) (driver.Publisher, error) {
	if err := check(cfg); err != nil {
		return nil, err
	}
	h := d.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	name := addr(cfg.Socket)
	switch {
	case name == "" && d.Hop == driver.IPC:
		return nil, errNoSocket
	case name == "":
		name = h.freeNameLocked()
	case d.Hop == driver.Network && len(h.membersLocked(room{d.Hop, name}).publishers) > 0:
		return nil, inUse(name, "publisher")
	}
	return h.newPublisherLocked(room{d.Hop, name}, cfg.WithDefaults()), nil
}

// OpenSubscriber implements driver.Driver.
func (d Driver) OpenSubscriber(_ context.Context, cfg driver.Config) (driver.Subscriber, error) {
	if err := check(cfg); err != nil {
		return nil, err
	}
	h := d.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.Hop == driver.Network {
		return networkSubscriber{h.newSubscriberLocked(cfg)}, nil
	}
	if cfg.Socket == "" {
		return nil, errNoSocket
	}
	r := room{d.Hop, addr(cfg.Socket)}
	if len(h.membersLocked(r).subscribers) > 0 {
		return nil, inUse(r.name, "subscriber")
	}
	s := h.newSubscriberLocked(cfg)
	s.all = true // without a filter a worker's messages all go to its service
	s.joinLocked(r)
	return ipcSubscriber{s, r.name}, nil
}

// freeNameLocked returns a name for a publisher that was given none.
func (h *Hub) freeNameLocked() addr {
	for {
		h.named++
		name := addr(strconv.Itoa(h.named))
		if h.rooms[room{driver.Network, name}] == nil {
			return name
		}
	}
}

// membersLocked returns those who use a name.
func (h *Hub) membersLocked(r room) *members {
	if h.rooms == nil {
		h.rooms = make(map[room]*members)
	}
	m := h.rooms[r]
	if m == nil {
		m = &members{make(map[*publisher]struct{}), make(map[*subscriber]struct{})}
		h.rooms[r] = m
	}
	return m
}

// tidyLocked forgets a name that nobody uses.
func (h *Hub) tidyLocked(r room) {
	if m := h.rooms[r]; m != nil && len(m.publishers)+len(m.subscribers) == 0 {
		delete(h.rooms, r)
	}
}

// notifyLocked wakes everybody who waits for something to change.
func (h *Hub) notifyLocked() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// waitLocked blocks until something changes or ctx ends. The lock is free
// meanwhile.
func (h *Hub) waitLocked(ctx context.Context) error {
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	changed := h.changed
	h.mu.Unlock()
	defer h.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
