//go:build linux

package campaign

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

// starve lets a process open no more files, ends its connections, so that it
// would have to, and gives it room again.
func (s *system) starve(ctx context.Context, p *process, links []*proxy.Proxy, d time.Duration) (proof, error) {
	before := p.saw(saysFiles)
	var old unix.Rlimit
	if err := unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return proof{}, fmt.Errorf("read limits of %s: %w", p.name, err)
	}
	low := old
	low.Cur = 3 // whatever is open stays so
	if err := unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, &low, nil); err != nil {
		return proof{}, fmt.Errorf("set limits of %s: %w", p.name, err)
	}
	for _, l := range links {
		l.Reset()
	}
	sleep(ctx, d)
	if err := unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, &old, nil); err != nil {
		return proof{}, fmt.Errorf("set limits of %s: %w", p.name, err)
	}
	n := p.saw(saysFiles) - before
	return proven(n > 0, "%s said %d times that it has too many open files", p.name, n), nil
}

const (
	// burstSize is the size of each event of a burst.
	burstSize = 8 << 10
	// buffers is what the kernel and the driver may hold of one connection that
	// is held by a proxy, generously.
	buffers = 2 << 20
	// catchUp is how long a node may take until it notices.
	catchUp = 3 * time.Second
	// reasonBehind is what it is told.
	reasonBehind = "fell behind"
	// standstill is longer than any handler is left to it.
	standstill = time.Minute
)

// overflow lets a node's handler stand still, and has a worker publish more than
// is retained for it. The kernel would hold megabytes for the node, more than is
// sensible to publish: the proxy lets it have none.
func (s *system) overflow(ctx context.Context, f Fault) (proof, error) {
	svc := s.services[f.Param%len(s.services)]
	victim := s.nodes[f.Target].present()
	orders, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	behind := toldTo{victim.name, svc.id, reasonBehind}
	before := s.journal.told(behind)
	// Either may be killed by another fault meanwhile; then this one misses.
	if err := victim.order(orders, actor.Order{Do: actor.DoSlow, Millis: int(standstill.Milliseconds())}); err != nil {
		return proven(false, "%v", err), nil
	}
	link := s.nodes[f.Target].groups[0][f.Param%len(s.services)]
	link.Apply(proxy.Down, proxy.Rule{Hold: true})
	// The first fill what is between the two, the last what is retained. What is
	// lost of a quiet topic in between is not shown by a later number.
	busy := s.shape.Fixed[0]
	err := s.publish(orders, svc, f.Param, busy, buffers/burstSize, burstSize)
	if err == nil {
		err = s.publish(orders, svc, f.Param, s.nodes[f.Target].quiet(), 1, 100)
	}
	if err == nil {
		err = s.publish(orders, svc, f.Param, busy, 2*s.shape.Retention/burstSize, burstSize)
	}
	sleep(ctx, f.For)
	link.Heal()
	// The one call that stands still now is not interrupted by an order.
	if serr := victim.order(orders, actor.Order{Do: actor.DoSlow}); serr != nil {
		return proven(false, "%v", serr), nil
	}
	if err != nil {
		return proven(false, "%v", err), nil
	}
	// It is told when it comes to that place of the stream.
	found, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for s.journal.told(behind) == before && found.Err() == nil {
		sleep(found, 10*time.Millisecond)
	}
	told := s.journal.told(behind) - before
	return proven(told > 0, "%d bytes published; %s was told %d times that it fell behind", buffers+2*s.shape.Retention, victim.name, told), nil
}
