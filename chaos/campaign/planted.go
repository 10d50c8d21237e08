//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// Died is the property that a process which was left alone does not end, beside
// those of the validator.
const Died = "process ended"

// Aim is a planted bug, and what shows it.
type Aim struct {
	Bug plant.Bug
	// Want are the properties of which one must be violated.
	Want []string
	// Short: it belongs to the share that every change has to pass.
	Short bool
	// Shape changes the system from the small one that there is else.
	Shape func(*Shape)
	// Faults are struck one after the other, at the earliest at their times, and
	// again, until the bug is found or there is no time left.
	Faults []Fault
	// Once: not again.
	Once bool
	// Needless: resyncs without need are violations. Not for those that take
	// what a whole campaign takes for harmless in another way.
	Needless bool
}

const (
	// trialTime is how long a bug may stay undetected.
	trialTime = 20 * time.Second
	// trialWithin is Params.Within of trials: the contract has 5 s, when a
	// publisher's host vanishes, and the rest is for a machine that is busy.
	trialWithin = 6500 * time.Millisecond
	// lookEvery is how often a trial is judged.
	lookEvery = 250 * time.Millisecond
)

// plantShape is the smallest system that has all there is to break.
func plantShape() Shape {
	return Shape{
		Services: []ServiceShape{{ID: "a", Restarts: true}},
		Workers:  []WorkerShape{{}, {}},
		Nodes:    2, Sessions: 1, Groups: 1,
		Narrow:    true,
		Fixed:     []string{"busy", "ab", "bc", "cd"},
		Pool:      []string{"topic-0", "topic-1", "topic-2", "topic-10"},
		Some:      2,
		Rate:      50,
		Size:      150,
		Retention: 2 << 20,
		Config:    []string{"drain_timeout = 3s", "handshake_timeout = 2s", "max_event_size = 64KiB"},
	}
}

// Catch is what became of a trial.
type Catch struct {
	Aim  *Aim
	Seed uint64
	// Property is what was violated first, and What the whole of it; empty if
	// nothing was.
	Property, What string
	// Took is from when the system was ready until it was found.
	Took time.Duration
	// Unproven are faults that did not strike.
	Unproven []string
	// Logs is where they are.
	Logs string
}

// String returns it in one line.
func (c *Catch) String() string {
	property := c.Property
	if property == "" {
		property = "NOTHING"
	}
	return fmt.Sprintf("%-22s %-22s %5.1f s  seed %d", c.Aim.Bug, property, c.Took.Seconds(), c.Seed)
}

// Try plants a bug into the processes of a small system and strikes it until a
// property is violated; or, as a control, plants none and strikes it once. The
// programs have to be built with the tag `plant`. Logs are left in a directory
// below logs.
func (a *Aim) Try(ctx context.Context, programs Programs, seed uint64, logs string, control bool) (c *Catch, err error) {
	t := &trial{aim: a, catch: &Catch{Aim: a, Seed: seed}, begun: time.Now()}
	shape := plantShape()
	if a.Shape != nil {
		a.Shape(&shape)
	}
	name := string(a.Bug)
	if control {
		name += "-control"
	}
	t.catch.Logs = filepath.Join(logs, name)
	if err := os.MkdirAll(t.catch.Logs, 0o755); err != nil {
		return nil, err
	}
	if t.sys, err = newSystem(programs, shape, seed, t.catch.Logs); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.sys.close()) }()
	if !control {
		t.sys.plant = string(a.Bug)
	}
	if err := t.sys.journal.begin(0, nil); err != nil {
		return nil, err
	}
	if err := t.sys.start(ctx); err != nil {
		return nil, err
	}
	// What was subscribed from the beginning is confirmed.
	for _, do := range []string{actor.DoPause, actor.DoGo} {
		if err := t.sys.order(ctx, do, nodesOnly); err != nil {
			return nil, err
		}
	}
	if shape.Foreign {
		sleep(ctx, 2*time.Second)
	}
	t.begun = time.Now()
	for {
		found, err := t.pass(ctx)
		t.catch.Took = time.Since(t.begun)
		if found || err != nil || control || a.Once || t.catch.Took > trialTime {
			return t.catch, errors.Join(err, ctx.Err())
		}
	}
}

// trial is one that runs.
type trial struct {
	aim     *Aim
	sys     *system
	catch   *Catch
	begun   time.Time
	faulty  time.Duration // until when there were faults
	records []validator.Record
}

// pass strikes each fault, and looks what comes of it.
func (t *trial) pass(ctx context.Context) (found bool, err error) {
	if err := t.sys.order(ctx, actor.DoGo, nodesOnly); err != nil {
		return false, err
	}
	begin := time.Now()
	for _, f := range t.aim.Faults {
		if found := t.lookUntil(ctx, begin.Add(f.At)); found {
			return true, nil
		}
		p, err := t.sys.strike(ctx, f)
		if err != nil {
			// A process that the bug has ended can't be struck.
			if found := t.look(ctx); found {
				return true, nil
			}
			return false, err
		}
		if !p.struck {
			t.catch.Unproven = append(t.catch.Unproven, fmt.Sprintf("%s: %s", f.Kind, p.text))
		}
	}
	// Topics that are dropped too soon prove nothing of what came before.
	if err := t.sys.order(ctx, actor.DoPause, nodesOnly); err != nil {
		return t.look(ctx), err
	}
	t.faulty = actor.Now()
	// What was lost by then is due so long after the last fault: that the machine
	// stands still is one.
	for {
		due := t.faulty + trialWithin + lookEvery
		found := t.lookUntil(ctx, time.Now().Add(due-actor.Now())) || t.look(ctx)
		if found || ctx.Err() != nil || t.faulty+trialWithin+lookEvery <= due {
			return found, nil
		}
	}
}

// lookUntil looks now and then, until something is found.
func (t *trial) lookUntil(ctx context.Context, end time.Time) (found bool) {
	for time.Until(end) > 0 && ctx.Err() == nil {
		if t.look(ctx) {
			return true
		}
		sleep(ctx, min(lookEvery, time.Until(end)))
	}
	return false
}

// look judges everything so far. No fault may be under way.
func (t *trial) look(ctx context.Context) (found bool) {
	now := actor.Now()
	// What everybody saw before is in the log then.
	err := t.sys.order(ctx, actor.DoMark, everybody)
	for _, failure := range t.sys.takeFailures() {
		t.catch.Property, t.catch.What = Died, failure
		return true
	}
	if err != nil {
		return false
	}
	t.records = append(t.records, t.sys.journal.take()...)
	params := judgement()
	params.Within = trialWithin
	if params.Explain.Window = trialWithin; !t.aim.Needless {
		params.Explain = nil
	}
	// All of it, each time: a Checker forgets what is settled, and that is certain
	// only when nothing is under way.
	c := validator.New(params)
	for _, r := range t.records {
		c.Add(r)
		if r.Kind == validator.KindFault {
			t.faulty = max(t.faulty, time.Duration(r.End))
		}
	}
	t.sys.journal.add(validator.Record{Kind: validator.KindCheck, At: int64(now)})
	r := c.Check(now)
	if len(r.Violations) == 0 {
		return false
	}
	t.catch.Property, t.catch.What = r.Violations[0].Property, r.Violations[0].String()
	return true
}
