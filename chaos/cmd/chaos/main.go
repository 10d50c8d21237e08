//go:build linux

// Command chaos breaks the system on purpose and judges what becomes of it. See
// package campaign; `make chaos` runs it.
//
//	chaos campaign [-duration 10m] [-seed N] [-round N] [-keep-going] [-logs DIR]
//	chaos soak [-duration 1h] [-seed N] [-logs DIR]
//	chaos notice [-trials 500] [-seed N] [-logs DIR]
//	chaos plant [-short] [-bug NAME] [-control] [-parallel 4] [-seed N] [-logs DIR]
//	chaos check FILE
//
// Its other verbs are parts of a campaign: worker, node.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/campaign"
)

const usage = "usage: chaos campaign|soak|notice|plant|check [flags]; hint: `make chaos` builds what it needs and runs it"

// errFound is what a campaign ends with that has found something: all about it
// was printed.
var errFound = errors.New("violations found")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "campaign":
		return runCampaign(ctx, args)
	case "soak":
		return runSoak(ctx, args)
	case "notice":
		return runNotice(ctx, args)
	case "plant":
		return runPlant(ctx, args)
	case "check":
		return check(args)
	case "worker":
		return act(ctx, args, actor.RunWorker)
	case "node":
		return act(ctx, args, actor.RunNode)
	}
	return errors.New(usage)
}

// act runs one actor. Signals are not for it: it ends with its input.
func act[C any](_ context.Context, args []string, run func(context.Context, C, io.Reader, io.Writer) error) error {
	if len(args) != 1 {
		return errors.New("an actor has one argument, its configuration")
	}
	var cfg C
	if err := json.Unmarshal([]byte(args[0]), &cfg); err != nil {
		return fmt.Errorf("parse configuration: %w", err)
	}
	return run(context.Background(), cfg, os.Stdin, os.Stdout)
}

// common are the flags that all campaigns have.
type common struct {
	set      *flag.FlagSet
	wyvern   *string
	seed     *uint64
	duration *time.Duration
	logs     *string
}

func newFlags(verb string, duration time.Duration) *common {
	set := flag.NewFlagSet("chaos "+verb, flag.ContinueOnError)
	c := &common{set: set}
	c.wyvern = set.String("wyvern", "bin/wyvern", "the product")
	c.seed = set.Uint64("seed", 0, "of the schedule; 0: random")
	c.duration = set.Duration("duration", duration, "no round begins after it")
	c.logs = set.String("logs", "", "directory for logs, which are kept then")
	return c
}

// parse parses the arguments and looks for what is needed.
func (c *common) parse(args []string) (campaign.Programs, error) {
	if err := c.set.Parse(args); err != nil {
		return campaign.Programs{}, err
	}
	if *c.seed == 0 {
		*c.seed = rand.Uint64N(1e9)
	}
	self, err := os.Executable()
	if err != nil {
		return campaign.Programs{}, err
	}
	wyvern, err := filepath.Abs(*c.wyvern)
	if err == nil {
		_, err = os.Stat(wyvern)
	}
	if err != nil {
		return campaign.Programs{}, fmt.Errorf("look for the product: %w; hint: run `make build`", err)
	}
	p := campaign.Programs{Wyvern: wyvern, Self: self}
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import zmq, msgpack").Run() == nil {
		p.Python = python
	} else {
		fmt.Printf("chaos: %s can't import zmq and msgpack: without workers on libzmq\n", python)
	}
	return p, nil
}

func runCampaign(ctx context.Context, args []string) error {
	f := newFlags("campaign", 10*time.Minute)
	first := f.set.Int("round", 0, "round to begin with")
	keepGoing := f.set.Bool("keep-going", false, "go on after a violation")
	programs, err := f.parse(args)
	if err != nil {
		return err
	}
	fmt.Printf("chaos: seed %d, for %v\n", *f.seed, *f.duration)
	s, err := campaign.Run(ctx, campaign.Options{
		Programs: programs, Seed: *f.seed, Duration: *f.duration, First: *first, KeepGoing: *keepGoing, Logs: *f.logs, Out: os.Stdout,
	})
	return report(s, err, fmt.Sprintf("make chaos SEED=%d", *f.seed))
}

func runSoak(ctx context.Context, args []string) error {
	f := newFlags("soak", time.Hour)
	programs, err := f.parse(args)
	if err != nil {
		return err
	}
	fmt.Printf("chaos: soak, seed %d, for %v\n", *f.seed, *f.duration)
	s, err := campaign.Soak(ctx, campaign.Options{Programs: programs, Seed: *f.seed, Duration: *f.duration, Logs: *f.logs, Out: os.Stdout})
	return report(s, err, fmt.Sprintf("make soak SEED=%d", *f.seed))
}

func runNotice(ctx context.Context, args []string) error {
	f := newFlags("notice", 0)
	trials := f.set.Int("trials", 500, "how many of each kind, at least")
	programs, err := f.parse(args)
	if err != nil {
		return err
	}
	fmt.Printf("chaos: how soon a loss is told, seed %d, %d trials each\n", *f.seed, *trials)
	results, err := campaign.Notice(ctx, campaign.NoticeOptions{Programs: programs, Seed: *f.seed, Trials: *trials, Logs: *f.logs})
	good := true
	for _, t := range results {
		t.Print(os.Stdout)
		good = good && t.Good()
	}
	if err == nil && !good {
		err = errFound
	}
	return err
}

func runPlant(ctx context.Context, args []string) error {
	f := newFlags("plant", 0)
	o := campaign.PlantOptions{Out: os.Stdout}
	f.set.StringVar(&o.Bug, "bug", "", "the only one")
	f.set.BoolVar(&o.Short, "short", false, "those that every change has to pass")
	f.set.BoolVar(&o.Control, "control", false, "no bug: nothing may be found")
	f.set.IntVar(&o.Parallel, "parallel", 4, "how many at a time")
	programs, err := f.parse(args)
	if err != nil {
		return err
	}
	o.Programs, o.Seed, o.Logs = programs, *f.seed, *f.logs
	good, err := campaign.Plant(ctx, o)
	if err == nil && !good {
		err = errFound
	}
	return err
}

// report prints what became of a campaign.
func report(s *campaign.Summary, err error, again string) error {
	s.Print(os.Stdout)
	fmt.Printf("seed %d, %d rounds in %v\n", s.Seed, s.Rounds, s.Took.Round(time.Second))
	if s.Failed() || err != nil {
		fmt.Printf("logs are in %s; again: %s\n", s.Logs, again)
	}
	if err != nil {
		return err
	}
	if s.Failed() {
		return errFound
	}
	return nil
}

// check judges a log again.
func check(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: chaos check FILE; hint: FILE is the records.jsonl of a round")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := campaign.Check(f)
	if err != nil {
		return err
	}
	for _, v := range r.Violations {
		fmt.Println(v)
	}
	fmt.Printf("events %d, deliveries %d, owed %d, covered %d, violations %d\n", r.Accepted, r.Deliveries, r.Owed, r.Covered, r.Total())
	if r.Total() > 0 {
		return errFound
	}
	return nil
}
