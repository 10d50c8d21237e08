//go:build linux

package campaign

import (
	"context"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

const (
	// linkDelay is how long each piece waits; linkRate what passes in a second.
	linkDelay = 30 * time.Millisecond
	linkRate  = 60 << 10
)

// breakProxy breaks what is behind a proxy for the time of the fault.
func breakProxy(ctx context.Context, p *proxy.Proxy, f Fault) proof {
	before := p.Counts()
	direction := []proxy.Direction{proxy.Up, proxy.Down, proxy.Both}[f.Param%3]
	hold := func(rule proxy.Rule) {
		p.Apply(direction, rule)
		sleep(ctx, f.For)
		p.Heal()
	}
	switch f.Kind {
	case LinkCut:
		n := p.Cut()
		return proven(n > 0, "%d connections cut", n)
	case LinkReset:
		n := p.Reset()
		return proven(n > 0, "%d connections reset", n)
	case LinkDead:
		n := p.Strand()
		return proven(n > 0, "%d connections are dead", n)
	case LinkRefuse:
		p.Refuse(true)
		ended := p.Reset()
		sleep(ctx, f.For)
		p.Heal()
		refused := p.Counts().Minus(before).Refused
		return proven(ended > 0 || refused > 0, "%d connections reset, %d refused", ended, refused)
	case LinkHole01, LinkHole1, LinkHole6:
		if f.Kind == LinkHole01 && direction == proxy.Up {
			direction = proxy.Both // so little goes up that it would miss
		}
		hold(proxy.Rule{Hold: true})
		n := p.Counts().Minus(before)
		return proven(n.Withheld > 0 || n.Held > 0, "%v: %d bytes and %d connections withheld", direction, n.Withheld, n.Held)
	case LinkDelay, IPCDelay:
		hold(proxy.Rule{Delay: linkDelay})
		n := p.Counts().Minus(before).Delayed
		return proven(n > 0, "%v: %d bytes delayed", direction, n)
	case LinkThrottle, IPCThrottle:
		direction = proxy.Both
		hold(proxy.Rule{Rate: linkRate})
		n := p.Counts().Minus(before).Throttled
		return proven(n > 0, "%d bytes throttled", n)
	case LinkSlice, IPCSlice:
		direction = proxy.Both
		hold(proxy.Rule{Slice: true})
		n := p.Counts().Minus(before).Sliced
		return proven(n > 0, "%d bytes sliced", n)
	}
	return proven(false, "not a fault of a link")
}

// swallow takes one event out of the stream: any, or the only one of a quiet topic,
// on which none follows that would show the gap.
func (s *system) swallow(ctx context.Context, f Fault) proof {
	n, svc := s.nodes[f.Target], s.services[f.Service]
	p := n.groups[f.Group][f.Service]
	ctx, cancel := context.WithTimeout(ctx, f.For)
	defer cancel()
	quiet := f.Param%3 != 0
	var taken string
	done := make(chan struct{})
	before := p.Counts()
	p.Swallow(func(topic, _ []byte) bool {
		if quiet && string(topic) != n.quiet() {
			return false
		}
		taken = string(topic)
		close(done) // once: the proxy asks no more after a yes
		return true
	})
	if quiet {
		if err := s.publish(ctx, svc, f.Param, n.quiet(), 1, 100); err != nil {
			p.Heal()
			return proven(false, "%v", err)
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	p.Heal()
	count := p.Counts().Minus(before).Swallowed
	if count == 0 {
		return proven(false, "no event came")
	}
	return proven(true, "%d event of topic %q swallowed", count, taken)
}

// publish has a worker of a service publish some events at once.
func (s *system) publish(ctx context.Context, svc *service, which int, topic string, n, size int) error {
	var of []*worker
	for _, w := range s.workers {
		if w.service == svc {
			of = append(of, w)
		}
	}
	return of[which%len(of)].present().order(ctx, actor.Order{Do: actor.DoBurst, Topic: topic, N: n, Size: size})
}
