//go:build linux

package campaign

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// proof is whether a fault struck, and how that is known.
type proof struct {
	struck bool
	text   string
}

func proven(struck bool, format string, args ...any) proof {
	return proof{struck, fmt.Sprintf(format, args...)}
}

// strike carries out a fault, from its beginning to its end, and logs it. An
// error means that the campaign can't go on.
func (s *system) strike(ctx context.Context, f Fault) (proof, error) {
	on := s.hits(f)
	begin := actor.Now()
	p, err := s.carryOut(ctx, f)
	if err != nil {
		return p, fmt.Errorf("%v: %w", f, err)
	}
	for _, name := range s.hits(f) { // a worker that was started again has another name
		if !slices.Contains(on, name) {
			on = append(on, name)
		}
	}
	s.journal.add(validator.Record{
		Kind: validator.KindFault, At: int64(begin), End: int64(actor.Now()),
		Fault: string(f.Kind), On: on, Confirmed: p.struck, Proof: p.text,
	})
	return p, nil
}

// hits are the parts that a fault concerns, by the names that the validator
// knows.
func (s *system) hits(f Fault) []string {
	switch f.Kind {
	case ServiceKill, ServiceFull, ServiceRestart, ServiceStop, ServiceFiles:
		return []string{s.services[f.Target].id}
	case Overflow:
		// Others may fall behind too: all are sent the same.
		names := []string{s.nodes[f.Target].name}
		for _, n := range s.nodes {
			names = append(names, n.links(0, s.services[f.Param%len(s.services)])...)
		}
		return names
	case WorkerKill, WorkerStop, IPCDelay, IPCThrottle, IPCSlice:
		return []string{s.workers[f.Target].present().name}
	case NodeKill, NodeQuit, NodeStop, NodeStopLong, NodeSlow, NodeStall, NodeFiles:
		return []string{s.nodes[f.Target].name}
	}
	if names := s.aimedAt(f); names != nil {
		return names
	}
	return s.nodes[f.Target].links(f.Group, s.services[f.Service])
}

func (s *system) carryOut(ctx context.Context, f Fault) (proof, error) {
	switch f.Kind {
	case ServiceKill:
		return s.killService(ctx, s.services[f.Target], f.For)
	case ServiceFull:
		return s.fillService(ctx, s.services[f.Target], f.For)
	case ServiceRestart:
		return s.restartService(ctx, s.services[f.Target], f.For, f.Param%2 == 0)
	case ServiceStop:
		return stop(ctx, s.services[f.Target].present(), f.For)
	case ServiceFiles:
		return s.starve(ctx, s.services[f.Target].present(), s.linksTo(f.Target), f.For)
	case Overflow:
		return s.overflow(ctx, f)
	case WorkerKill:
		return s.killWorker(ctx, s.workers[f.Target], f.For)
	case WorkerStop:
		return stop(ctx, s.workers[f.Target].present(), f.For)
	case NodeKill:
		return s.killNode(ctx, s.nodes[f.Target], f.For)
	case NodeQuit:
		return s.quitNode(ctx, s.nodes[f.Target], f.For)
	case NodeStop, NodeStopLong:
		return stop(ctx, s.nodes[f.Target].present(), f.For)
	case NodeSlow:
		return slow(ctx, s.nodes[f.Target].present(), slowHandler, f.For)
	case NodeStall:
		return slow(ctx, s.nodes[f.Target].present(), standstill, f.For)
	case NodeFiles:
		n := s.nodes[f.Target]
		return s.starve(ctx, n.present(), n.proxies(), f.For)
	case IPCDelay, IPCThrottle, IPCSlice:
		return breakProxy(ctx, s.workers[f.Target].proxy, f), nil
	}
	if f.Kind == LinkSwallow {
		return s.swallow(ctx, f), nil
	}
	if p, ok, err := s.aimed(ctx, f); ok {
		return p, err
	}
	return breakProxy(ctx, s.nodes[f.Target].groups[f.Group][f.Service], f), nil
}

// linksTo returns the proxies between the nodes and a service.
func (s *system) linksTo(service int) []*proxy.Proxy {
	var links []*proxy.Proxy
	for _, n := range s.nodes {
		for _, group := range n.groups {
			links = append(links, group[service])
		}
	}
	return links
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *system) killService(ctx context.Context, svc *service, away time.Duration) (proof, error) {
	old := svc.present()
	killed := old.kill()
	sleep(ctx, away)
	if err := svc.start(ctx); err != nil {
		return proof{}, err
	}
	pid := svc.present().pid()
	return proven(killed && pid != old.pid(), "process %d killed, now %d", old.pid(), pid), nil
}

const (
	// fullBurst is more than the socket between a worker and its service takes,
	// in events of burstSize, and less than the worker queues.
	fullBurst = 200
	// restartBurst is how much each worker publishes while a service ends: less
	// than is retained, so that the next one can go on.
	restartBurst = 100
	restartSize  = 4 << 10
	// burstTime is how long that may take.
	burstTime = time.Second
)

// fillService stops a service, has its workers write until they can't, and kills
// it: each is in the middle of a message then.
func (s *system) fillService(ctx context.Context, svc *service, away time.Duration) (proof, error) {
	if err := svc.present().signal(syscall.SIGSTOP); err != nil {
		return proof{}, err
	}
	n := s.burst(ctx, svc, fullBurst, burstSize, true)
	p, err := s.killService(ctx, svc, away)
	p.text += fmt.Sprintf("; %d workers had written before", n)
	return p, err
}

// burst has the workers of a service publish, with or without those on libzmq, and
// returns how many did within a time. Those that are stopped or killed don't.
func (s *system) burst(ctx context.Context, svc *service, n, size int, all bool) int {
	ctx, cancel := context.WithTimeout(ctx, burstTime)
	defer cancel()
	var wg sync.WaitGroup
	var did atomic.Int64
	for _, w := range s.workers {
		if w.service != svc || w.python && !all {
			continue
		}
		wg.Go(func() {
			o := actor.Order{Do: actor.DoBurst, Topic: s.shape.Fixed[0], N: n, Size: size}
			if w.present().order(ctx, o) == nil {
				did.Add(1)
			}
		})
	}
	wg.Wait()
	return int(did.Load())
}

// restartService tells a service to stop, which hands over, and starts it again.
// busy: those of its workers that are ours publish much at that moment. One on
// libzmq that floods then loses something, which is told.
func (s *system) restartService(ctx context.Context, svc *service, away time.Duration, busy bool) (proof, error) {
	old := svc.present()
	if busy {
		var publishing sync.WaitGroup
		publishing.Go(func() { s.burst(ctx, svc, restartBurst, restartSize, false) })
		defer publishing.Wait()
	}
	old.expect()
	if err := old.signal(term); err != nil {
		return proof{}, err
	}
	status, killed := old.end(killTimeout)
	if killed {
		s.fail(fmt.Sprintf("process %s (%d) did not end within %v after SIGTERM", old.name, old.pid(), killTimeout))
	}
	sleep(ctx, away)
	if err := svc.start(ctx); err != nil {
		return proof{}, err
	}
	pid := svc.present().pid()
	return proven(!killed && pid != old.pid(), "process %d ended with status %d, now %d", old.pid(), status, pid), nil
}

func (s *system) killWorker(ctx context.Context, w *worker, away time.Duration) (proof, error) {
	old := w.present()
	killed := w.kill()
	sleep(ctx, away)
	if err := w.start(); err != nil {
		return proof{}, err
	}
	return proven(killed, "process %d killed, now %d", old.pid(), w.present().pid()), nil
}

func (s *system) killNode(ctx context.Context, n *node, away time.Duration) (proof, error) {
	old := n.present()
	killed := n.kill()
	sleep(ctx, away)
	if err := n.start(); err != nil {
		return proof{}, err
	}
	return proven(killed, "process %d killed, now %d", old.pid(), n.present().pid()), nil
}

func (s *system) quitNode(ctx context.Context, n *node, away time.Duration) (proof, error) {
	old := n.present()
	old.expect()
	if err := old.tell(actor.Order{Do: actor.DoQuit}); err != nil {
		return proof{}, err
	}
	status, killed := old.end(killTimeout)
	if killed || status != 0 {
		s.fail(fmt.Sprintf("process %s (%d) was told to quit: exit status %d, had to be killed: %t", old.name, old.pid(), status, killed))
	}
	sleep(ctx, away)
	if err := n.start(); err != nil {
		return proof{}, err
	}
	return proven(!killed, "process %d ended with status %d, now %d", old.pid(), status, n.present().pid()), nil
}

// stop stops a process for a time.
func stop(ctx context.Context, p *process, d time.Duration) (proof, error) {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return proof{}, err
	}
	sleep(ctx, d)
	state := p.state()
	if err := p.signal(syscall.SIGCONT); err != nil {
		return proof{}, err
	}
	return proven(state == "T", "process %d was in state %s", p.pid(), state), nil
}

// slowHandler is how long a slow node takes for an event.
const slowHandler = 20 * time.Millisecond

// slow makes a node's handlers slow for a time. That the node says it is, is all
// that can be known.
func slow(ctx context.Context, p *process, each, d time.Duration) (proof, error) {
	orders, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.order(orders, actor.Order{Do: actor.DoSlow, Millis: int(each.Milliseconds())}); err != nil {
		return proof{}, err
	}
	sleep(ctx, d)
	if err := p.order(orders, actor.Order{Do: actor.DoSlow}); err != nil {
		return proof{}, err
	}
	return proven(true, "process %d confirmed the order", p.pid()), nil
}
