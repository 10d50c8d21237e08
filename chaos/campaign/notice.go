//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

const (
	// swallowedMost and lostMost are the bounds of the contract: for the last
	// event of a topic that falls quiet, and for a publisher's host that is gone.
	swallowedMost = 3 * time.Second
	lostMost      = 5 * time.Second
	// giveUp is after how long a trial counts as never.
	giveUp = 20 * time.Second
	// listeners is how many subscribers take part at a time, of each kind.
	listeners = 25
	// stoppable is how many services they share that are stopped.
	stoppable = 5
	// busyTopics are those on which the publisher is busy, busyRate how much.
	busyTopics = 10
	busyRate   = 500
)

// NoticeOptions say what Notice does.
type NoticeOptions struct {
	Programs Programs
	Seed     uint64
	Trials   int // of each kind, at least
	Logs     string
}

// Notice measures, at default settings, how soon a subscriber is told: of the last
// event of a quiet topic that was swallowed while its publisher is busy on other
// topics, and of a publisher that is gone, because the network became a black hole
// or because it is stopped.
func Notice(ctx context.Context, o NoticeOptions) (results []*Trials, err error) {
	logs := o.Logs
	if logs == "" {
		if logs, err = os.MkdirTemp("", "wyvern-notice-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(logs)) }()
	}
	shape := Shape{Defaults: true}
	for i := range 2 + stoppable {
		shape.Services = append(shape.Services, ServiceShape{ID: fmt.Sprintf("s%d", i)})
	}
	sys, err := newSystem(o.Programs, shape, o.Seed, logs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sys.close()) }()
	if err := sys.journal.begin(0, nil); err != nil {
		return nil, err
	}
	if err := sys.start(ctx); err != nil {
		return nil, err
	}
	n := &notice{sys: sys, seed: o.Seed, trials: o.Trials,
		swallowed: Trials{What: "last event on a quiet topic swallowed", Most: swallowedMost, AtLeast: o.Trials},
		held:      Trials{What: "publisher in a black hole", Most: lostMost, AtLeast: o.Trials / 2},
		stopped:   Trials{What: "publisher stopped", Most: lostMost, AtLeast: o.Trials / 2},
	}
	err = n.run(ctx)
	if failures := sys.takeFailures(); len(failures) > 0 {
		err = errors.Join(err, errors.New(strings.Join(failures, "; ")))
	}
	return []*Trials{&n.swallowed, &n.held, &n.stopped}, err
}

// notice is one that runs.
type notice struct {
	sys    *system
	seed   uint64
	trials int

	swallowed, held, stopped Trials
}

// run runs the three kinds side by side: each has services of its own.
func (n *notice) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, kind := range []func(context.Context) error{n.runSwallowed, n.runHeld, n.runStopped} {
		wg.Go(func() {
			if errs[i] = kind(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// each runs f for every listener at once.
func each(count int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, count)
	for i := range count {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func link(svc *service) (*proxy.Proxy, error) {
	return proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
		proxy.Endpoint{Network: "tcp", Address: svc.address}, proxy.Options{ZMTP: true})
}

func busyTopic(i int) string { return fmt.Sprintf("busy-%d", i%busyTopics) }

// keepBusy publishes on the busy topics until ctx ends.
func keepBusy(ctx context.Context, pub *wyvern.Publisher) error {
	tick := time.NewTicker(time.Second / busyRate)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		e := wyvern.Event{Table: "lport", Key: fmt.Sprintf("busy-%d", i), Action: wyvern.ActionSet, Value: strings.Repeat("x", 200), Topic: busyTopic(i)}
		if err := pub.Publish(ctx, e); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// runSwallowed: one event is taken out of the stream, and none follows on its
// topic. Half of the listeners get some of what the publisher is busy with.
func (n *notice) runSwallowed(ctx context.Context) error {
	svc := n.sys.services[0]
	pub, err := mouth(ctx, svc)
	if err != nil {
		return err
	}
	defer pub.Close()
	busy, rest := context.WithCancel(ctx)
	var working sync.WaitGroup
	var busyErr error
	working.Go(func() { busyErr = keepBusy(busy, pub) })
	err = each(listeners, func(i int) error { return n.swallow(ctx, svc, pub, i) })
	rest()
	working.Wait()
	return errors.Join(err, busyErr)
}

func (n *notice) swallow(ctx context.Context, svc *service, pub *wyvern.Publisher, i int) error {
	random := rand.New(rand.NewPCG(n.seed, uint64(i)))
	p, err := link(svc)
	if err != nil {
		return err
	}
	defer p.Close()
	quiet := fmt.Sprintf("quiet-%d", i)
	topics := []string{quiet}
	if i%2 == 0 {
		topics = append(topics, busyTopic(i))
	}
	e, err := listenTo(ctx, "tcp://"+p.Addr().String(), topics...)
	if err != nil {
		return err
	}
	defer e.sub.Close()
	if err := ready(ctx, e); err != nil {
		return err
	}
	per := perListener(n.trials, listeners)
	for trial, missed := 0, 0; trial < per && missed < per; trial++ {
		// At any moment of whatever goes by the clock.
		sleep(ctx, time.Duration(random.Int64N(int64(1500*time.Millisecond))))
		key := fmt.Sprintf("%s-%d", quiet, trial)
		taken := make(chan struct{})
		p.Swallow(func(topic, body []byte) bool {
			if string(topic) != quiet || !strings.Contains(string(body), key) {
				return false
			}
			close(taken)
			return true
		})
		e.forget()
		begin := actor.Now()
		if err := pub.Publish(ctx, wyvern.Event{Table: "lport", Key: key, Action: wyvern.ActionSet, Topic: quiet}); err != nil {
			return err
		}
		end, cancel := context.WithTimeout(ctx, giveUp)
		s, err := e.await(end, func(s *sound) bool { return s.key == key || s.resync && s.topic == quiet })
		late := err != nil
		cancel()
		p.Heal()
		select {
		case <-taken:
		default:
			n.swallowed.miss()
			missed++
			trial--
			continue
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case late:
			n.swallowed.fail("listener %d, trial %d: nothing within %v", i, trial, giveUp)
		default:
			n.swallowed.add(s.at - begin)
		}
	}
	return nil
}

// perListener is how many trials each has.
func perListener(trials, listeners int) int { return (trials + listeners - 1) / listeners }

func ready(ctx context.Context, e *ear) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return e.sub.Await(ctx)
}

// lost waits until a listener was told of every topic that its publisher is lost,
// and returns when that was.
func lost(ctx context.Context, e *ear, topics []string) (at time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	for _, topic := range topics {
		s, err := e.await(ctx, func(s *sound) bool { return s.resync && s.topic == topic && s.reason == wyvern.ReasonLost })
		if err != nil {
			return 0, fmt.Errorf("topic %s: %w", topic, err)
		}
		at = max(at, s.at)
	}
	return at, nil
}

// lostTopics are what the listeners of lost publishers hold.
func lostTopics(i int) []string {
	return []string{wyvern.TopicAll, fmt.Sprintf("lost-%d", i), "lost"}
}

// runHeld: everything between a listener and its publisher is withheld, both ways.
func (n *notice) runHeld(ctx context.Context) error {
	svc := n.sys.services[1]
	return each(listeners, func(i int) error {
		random := rand.New(rand.NewPCG(n.seed+1, uint64(i)))
		p, err := link(svc)
		if err != nil {
			return err
		}
		defer p.Close()
		topics := lostTopics(i)
		e, err := listenTo(ctx, "tcp://"+p.Addr().String(), topics...)
		if err != nil {
			return err
		}
		defer e.sub.Close()
		per := perListener(n.trials/2, listeners)
		for trial, missed := 0, 0; trial < per && missed < per; trial++ {
			if err := ready(ctx, e); err != nil {
				return fmt.Errorf("listener %d, trial %d: %w", i, trial, err)
			}
			sleep(ctx, time.Duration(random.Int64N(int64(2*time.Second))))
			e.forget()
			before := p.Counts()
			begin := actor.Now()
			p.Apply(proxy.Both, proxy.Rule{Hold: true})
			at, err := lost(ctx, e, topics)
			p.Heal()
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				n.held.fail("listener %d, trial %d: %v", i, trial, err)
			case p.Counts().Minus(before).Withheld == 0:
				n.held.miss()
				missed++
				trial--
			default:
				n.held.add(at - begin)
			}
		}
		return nil
	})
}

// runStopped: the publisher's process is stopped.
func (n *notice) runStopped(ctx context.Context) error {
	const share = listeners / stoppable
	return each(stoppable, func(i int) error {
		svc := n.sys.services[2+i]
		random := rand.New(rand.NewPCG(n.seed+2, uint64(i)))
		var ears []*ear
		defer func() {
			for _, e := range ears {
				e.sub.Close()
			}
		}()
		for j := range share {
			e, err := listenTo(ctx, "tcp://"+svc.address, lostTopics(j)...)
			if err != nil {
				return err
			}
			ears = append(ears, e)
		}
		for trial := range perListener(n.trials/2, listeners) {
			if err := each(share, func(j int) error { return ready(ctx, ears[j]) }); err != nil {
				return fmt.Errorf("service %d, trial %d: %w", i, trial, err)
			}
			sleep(ctx, time.Duration(random.Int64N(int64(2*time.Second))))
			for _, e := range ears {
				e.forget()
			}
			process := svc.present()
			begin := actor.Now()
			if err := process.signal(syscall.SIGSTOP); err != nil {
				return err
			}
			var times [share]time.Duration
			errs := [share]error{}
			_ = each(share, func(j int) error {
				times[j], errs[j] = lost(ctx, ears[j], lostTopics(j))
				return nil
			})
			state := process.state()
			if err := process.signal(syscall.SIGCONT); err != nil {
				return err
			}
			for j := range share {
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case errs[j] != nil:
					n.stopped.fail("service %d, listener %d, trial %d: %v", i, j, trial, errs[j])
				case state != "T":
					n.stopped.miss()
				default:
					n.stopped.add(times[j] - begin)
				}
			}
		}
		return nil
	})
}
