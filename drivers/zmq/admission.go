package zmq

import (
	"container/list"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// pendingShare is the part of all connections, one in so many, that one origin
// may have without having introduced them, and leastPending how many it always
// may.
const (
	pendingShare = 4
	leastPending = 16
)

// admission decides which connections are kept. A connection is pending until
// its peer has introduced itself: it is nobody's yet, and costs who makes it
// nothing. So where one too many comes, a pending one makes room for it, the
// oldest: who means to introduce himself has done so long before.
//
// An origin is who the connection comes from as far as that is known by then:
// an address of the network, a user of this host.
type admission struct {
	most        int // connections
	mostOfOne   int // connections of one origin; 0: as many as there may be
	mostPending int // connections of one origin that are pending

	mu      sync.Mutex
	count   int
	origins map[string]*origin
	pending list.List // of *guest, oldest first
}

type origin struct {
	name    string
	count   int
	pending list.List // of *guest, oldest first
}

// guest is a connection that was admitted.
type guest struct {
	in   *admission
	end  func(reason error) // ends the connection; set by who admitted it
	from *origin

	// Guarded by in.mu.
	gone          bool
	evicted       error
	inAll, inHere *list.Element // places in the lists of those that are pending
}

func newAdmission(most, mostOfOne int) *admission {
	return &admission{
		most:        most,
		mostOfOne:   mostOfOne,
		mostPending: max(most/pendingShare, leastPending),
		origins:     make(map[string]*origin),
	}
}

// admit takes a connection in, or says why not. It is for one goroutine, which
// sets the guest's end before it calls admit again.
func (a *admission) admit(name string) (*guest, error) {
	a.mu.Lock()
	g, evicted, err := a.admitLocked(name)
	a.mu.Unlock()
	if evicted != nil {
		evicted.end(evicted.evicted)
	}
	return g, err
}

func (a *admission) admitLocked(name string) (g, evicted *guest, err error) {
	o := a.origins[name]
	if o == nil {
		o = &origin{name: name}
	}
	switch {
	case a.mostOfOne > 0 && o.count >= a.mostOfOne:
		if evicted = oldest(&o.pending); evicted == nil {
			return nil, nil, fmt.Errorf("%d connections from %s already", o.count, name)
		}
		evicted.evicted = errCrowdedHere
	case o.pending.Len() >= a.mostPending:
		evicted = oldest(&o.pending)
		evicted.evicted = errCrowdedHere
	case a.count >= a.most:
		if evicted = oldest(&a.pending); evicted == nil {
			return nil, nil, fmt.Errorf("%d are connected already", a.count)
		}
		evicted.evicted = errCrowded
	}
	if evicted != nil {
		a.removeLocked(evicted)
	}
	g = &guest{in: a, from: o}
	g.inAll, g.inHere = a.pending.PushBack(g), o.pending.PushBack(g)
	o.count++
	a.count++
	a.origins[name] = o
	return g, evicted, nil
}

func oldest(pending *list.List) *guest {
	if first := pending.Front(); first != nil {
		return first.Value.(*guest)
	}
	return nil
}

// introduced says that the peer has introduced itself, or has failed to. It
// returns why the connection is to end, if it had to make room before that.
func (g *guest) introduced() error {
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	g.in.settleLocked(g)
	return g.evicted
}

func (a *admission) settleLocked(g *guest) {
	if g.inAll != nil {
		a.pending.Remove(g.inAll)
		g.from.pending.Remove(g.inHere)
		g.inAll, g.inHere = nil, nil
	}
}

// leave says that the connection has ended.
func (g *guest) leave() {
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	g.in.removeLocked(g)
}

func (a *admission) removeLocked(g *guest) {
	if g.gone {
		return
	}
	g.gone = true
	a.settleLocked(g)
	a.count--
	if g.from.count--; g.from.count == 0 {
		delete(a.origins, g.from.name)
	}
}

// originOf names the origin of a connection by the network. An IPv6 host has a
// whole network of addresses, so that counts as one.
func originOf(conn net.Conn) string {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return "this host"
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().String()
	}
	return address.String()
}
