package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// scenario is one question, asked of every rival at every size.
type scenario struct {
	name    string
	sizes   []size
	rivals  []rival
	targets []target
	billed  string // whose CPU time is reported
	// baseline is what every other rival is judged against; none: ours is
	// judged, against libzmq.
	baseline rival
	lasts    time.Duration // instead of -duration, if not 0
	run      func(*trial, size, rival) (figures, error)
}

// title is the scenario's name, and how long it lasts if that is its own.
func (s *scenario) title() string {
	if s.lasts == 0 {
		return s.name
	}
	return fmt.Sprintf("%s, for %s", s.name, s.lasts)
}

// size is how large a scenario is; what a scenario doesn't have is 0.
type size struct {
	Subs    int           `json:",omitempty"`
	Workers int           `json:",omitempty"`
	Gap     time.Duration `json:",omitempty"`
}

func (s size) String() string {
	var out string
	if s.Workers > 0 {
		out += fmt.Sprintf("%d workers ", s.Workers)
	}
	if s.Subs > 0 {
		out += fmt.Sprintf("%d subs ", s.Subs)
	}
	if s.Gap > 0 {
		out += fmt.Sprintf("gap %s ", s.Gap)
	}
	return out[:len(out)-1]
}

// rival is one way to do what a scenario asks.
type rival struct {
	Name      string
	Kind      string
	IOThreads int
	API       bool
	Crowd     string `json:",omitempty"` // how some subscribers misbehave
	Percent   int    `json:",omitempty"` // how many of all do
	Elsewhere bool   `json:",omitempty"` // but at another publisher of this machine
}

var (
	floorRival   = rival{Name: "floor", Kind: kindFloor}
	oneThread    = rival{Name: "libzmq io=1", Kind: kindLibzmq, IOThreads: 1}
	twoThreads   = rival{Name: "libzmq io=2", Kind: kindLibzmq, IOThreads: 2}
	oursRival    = rival{Name: "ours", Kind: kindOurs}
	oursAPIRival = rival{Name: "ours api", Kind: kindOurs, API: true}
)

func publishers(o *options) []rival {
	all := []rival{floorRival, oneThread, twoThreads, oursRival}
	if o.api {
		all = append(all, oursAPIRival)
	}
	return all
}

func scenarios(o *options) []scenario {
	return []scenario{fanout(o), paced(o), chain(o), ipc(o), subscriber(o), isolation(o)}
}

func scenarioNames() []string {
	return []string{"fanout", "paced", "chain", "ipc", "subscriber", "isolation"}
}

// runScenarios runs what was asked for and records everything in the report. A
// failed run is told at once and doesn't stop the others; the returned error is
// only how many there were. A rival that is not built yet is no failure.
func runScenarios(ctx context.Context, o *options, report *report) error {
	failed := 0
	for _, s := range scenarios(o) {
		if !slices.Contains(o.scenarios, s.name) {
			continue
		}
		rivals := slices.DeleteFunc(s.rivals, func(r rival) bool { return !slices.Contains(o.rivals, r.Kind) })
		report.add(s, rivals)
		for _, size := range s.sizes {
			for round := range o.rounds {
				for _, rival := range rivals {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					fmt.Fprintf(os.Stderr, "%s, %s: round %d of %d: %s\n", s.name, size, round+1, o.rounds, rival.Name)
					f, err := tryOnce(ctx, o, s, size, rival)
					if err != nil && !errors.Is(err, errNotBuilt) {
						fmt.Fprintf(os.Stderr, "compare: %s, %s, %s: %v\n", s.name, size, rival.Name, err)
						failed++
					}
					report.record(s, size, rival, round, f, err)
				}
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d runs failed", failed)
	}
	return nil
}

func tryOnce(ctx context.Context, o *options, s scenario, size size, rival rival) (f figures, err error) {
	if s.lasts > 0 {
		longer := *o
		longer.duration = s.lasts
		o = &longer
	}
	t, err := newTrial(ctx, o)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return s.run(t, size, rival)
}
