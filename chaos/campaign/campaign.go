//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// Options say what a campaign does.
type Options struct {
	Programs Programs
	Seed     uint64
	Duration time.Duration // no round begins after it
	// First is the round that it begins with: to see one again.
	First int
	// KeepGoing: go on after a violation.
	KeepGoing bool
	// Logs is the directory for logs; default: a new one, removed when all is
	// well.
	Logs string
	// Out receives a line per round.
	Out io.Writer
}

const (
	// within is how soon after a fault, or without one, everything must have
	// been seen or told.
	within = 8 * time.Second
	// settle is how long a system that is whole again still has load.
	settle = 2 * time.Second
	// quiet is how long nothing happens before the verdict.
	quiet = within + 500*time.Millisecond
	// pauseTimeout is how long an actor may take until it has come to rest.
	pauseTimeout = 20 * time.Second
)

// judgement is how strict the validator is.
func judgement() validator.Params {
	var harmless []string
	for _, kind := range Harmless {
		harmless = append(harmless, string(kind))
	}
	return validator.Params{
		Within: within, Queue: time.Second, Lag: time.Second, All: topicAll,
		Explain: &validator.Explain{Window: within, Harmless: harmless, Subscribed: "subscribed", Flight: 2 * time.Second},
	}
}

// Run runs a campaign. The error is about the campaign itself; what was found of
// the product is in the summary.
func Run(ctx context.Context, o Options) (*Summary, error) {
	shape := DefaultShape(o.Programs.Python != "")
	return runRounds(ctx, o, shape, func(round int) Schedule { return Plan(o.Seed, round, &shape) })
}

// runRounds runs a system, round by round.
func runRounds(ctx context.Context, o Options, shape Shape, plan func(round int) Schedule) (*Summary, error) {
	c := &campaign{options: o, shape: shape, plan: plan, checker: validator.New(judgement()), summary: &Summary{Seed: o.Seed}}
	err := c.run(ctx)
	return c.summary, err
}

// campaign is one that runs.
type campaign struct {
	options Options
	shape   Shape
	plan    func(round int) Schedule
	sys     *system
	checker *validator.Checker
	summary *Summary
}

func (c *campaign) say(format string, args ...any) {
	fmt.Fprintf(c.options.Out, "chaos: "+format+"\n", args...)
}

// run starts the system, goes round by round and stops it.
func (c *campaign) run(ctx context.Context) (err error) {
	started := time.Now()
	logs := c.options.Logs
	if logs == "" {
		if logs, err = os.MkdirTemp("", "wyvern-chaos-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	c.summary.Logs = logs
	c.sys, err = newSystem(c.options.Programs, c.shape, c.options.Seed, logs)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.sys.close())
		c.summary.Took = time.Since(started)
		c.summary.Stalls = c.sys.stalls.Load()
		if err == nil && !c.summary.Failed() && c.options.Logs == "" {
			c.summary.Logs = ""
			err = os.RemoveAll(logs)
		}
	}()
	round := c.options.First
	if err := c.sys.journal.begin(round, nil); err != nil {
		return err
	}
	if err := c.sys.start(ctx); err != nil {
		return err
	}
	for ; ; round++ {
		if err := c.round(ctx, round); err != nil {
			return err
		}
		last := time.Since(started) >= c.options.Duration
		if last || c.summary.Failed() && !c.options.KeepGoing {
			break
		}
		if err := c.sys.journal.begin(round+1, c.checker.Snapshot()); err != nil {
			return err
		}
	}
	if err := c.sys.stop(); err != nil {
		c.violations(round, &validator.Result{}, append(c.sys.takeFailures(), err.Error()))
	}
	return nil
}

// round breaks things for a while, and then sees what became of it.
func (c *campaign) round(ctx context.Context, round int) error {
	s := c.plan(round)
	begin := time.Now()
	var wg sync.WaitGroup
	errs := make([]error, len(s.Lanes))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := c.summary.Confirmed()
	for i, lane := range s.Lanes {
		wg.Go(func() {
			free := begin
			for _, f := range lane {
				// One that takes longer than planned, on a machine that is busy,
				// must not be followed at once by the next.
				at := begin.Add(f.At)
				if at.Before(free) {
					at = free
				}
				sleep(ctx, time.Until(at))
				if ctx.Err() != nil {
					return
				}
				p, err := c.sys.strike(ctx, f)
				if err != nil {
					errs[i] = err
					cancel()
					return
				}
				c.summary.fault(f.Kind, p)
				free = time.Now().Add(leastPause)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	sleep(ctx, time.Until(begin.Add(s.Length)))
	result, err := c.verdict(ctx)
	if err != nil {
		return err
	}
	c.summary.Rounds++
	c.violations(round, result, c.sys.takeFailures())
	mild := ""
	if s.Mild {
		mild = ", only harmless ones"
	}
	c.say("round %d: %d faults confirmed%s; %d events, %d deliveries, %d resyncs; %d violations",
		round, c.summary.Confirmed()-before, mild, result.Accepted, result.Deliveries, total(result.Resyncs), result.Total())
	return nil
}

// verdict lets the system come to rest and checks it.
func (c *campaign) verdict(ctx context.Context) (*validator.Result, error) {
	sleep(ctx, settle)
	rest, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	if err := c.sys.order(rest, actor.DoPause, nodesOnly); err != nil {
		return nil, err
	}
	if err := c.sys.order(rest, actor.DoPause, workersOnly); err != nil {
		return nil, err
	}
	sleep(ctx, quiet)
	if err := c.sys.order(ctx, actor.DoMark, everybody); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := actor.Now()
	c.sys.journal.add(validator.Record{Kind: validator.KindCheck, At: int64(now)})
	for _, r := range c.sys.journal.take() {
		c.checker.Add(r)
	}
	result := c.checker.Check(now)
	return result, c.sys.order(ctx, actor.DoGo, everybody)
}

// violations notes what was found in a round.
func (c *campaign) violations(round int, r *validator.Result, failures []string) {
	if r.Total()+len(failures) > 0 {
		c.sys.journal.keep()
	}
	c.summary.mu.Lock()
	defer c.summary.mu.Unlock()
	for _, v := range r.Violations {
		c.summary.Violations = append(c.summary.Violations, fmt.Sprintf("round %d: %v", round, v))
	}
	for _, f := range failures {
		c.summary.Violations = append(c.summary.Violations, fmt.Sprintf("round %d: %s", round, f))
	}
	c.summary.Result.Merge(r)
}

// Check judges a round's records again.
func Check(records io.Reader) (*validator.Result, error) {
	return check(records, judgement())
}
