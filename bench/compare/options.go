package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	scenarios    []string
	rivals       []string
	fanoutSubs   []int
	paced        []pace
	chainSubs    int
	chainWorkers int
	chainKind    string
	ipcWorkers   []int
	isolation    isolationOptions

	rounds   int
	duration time.Duration
	warmup   time.Duration
	window   int
	hwm      int
	stamped  bool
	api      bool

	jsonFile string
	check    bool
}

// isolationOptions are those of the isolation scenario.
type isolationOptions struct {
	subs     int // that behave
	gap      time.Duration
	bulk     int // bytes of large events per second
	duration time.Duration
}

// pace is one size of the paced scenario.
type pace struct {
	subs int
	gap  time.Duration
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	scenarios := f.String("scenario", "all", "comma-separated: "+strings.Join(scenarioNames(), ", "))
	rivals := f.String("rivals", "all", "comma-separated kinds: floor, libzmq, ours")
	subs := f.String("subs", "10,100,1000", "fanout: subscribers")
	paced := f.String("paced", "100:5ms,1000:30ms", "paced: subscribers and the gap between events")
	ipc := f.String("ipc-workers", "1,4", "ipc: pushing processes")
	f.IntVar(&o.chainSubs, "chain-subs", 100, "chain: subscribers")
	f.IntVar(&o.chainWorkers, "chain-workers", 4, "chain: worker processes")
	f.StringVar(&o.chainKind, "worker", kindLibzmq, "chain: the workers of both rivals, libzmq or ours")
	f.IntVar(&o.isolation.subs, "isolation-subs", 200, "isolation: subscribers that behave, of whom the figures are")
	f.DurationVar(&o.isolation.gap, "isolation-gap", 10*time.Millisecond, "isolation: between two events, with a large one half-way")
	f.IntVar(&o.isolation.bulk, "isolation-bulk", 3<<20, "isolation: bytes of large events per second")
	f.DurationVar(&o.isolation.duration, "isolation-duration", 10*time.Second, "isolation: measured part of a run, longer until all who don't read have fallen behind")
	f.IntVar(&o.rounds, "rounds", 5, "rounds, the rivals interleaved in each")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "measured part of a run")
	f.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "full load before the measured part")
	f.IntVar(&o.window, "window", 0, "events that a sender may be ahead of the slowest subscriber (see README); 0 chooses by subscribers")
	f.IntVar(&o.hwm, "hwm", 1000, "libzmq's high-water marks, in messages; 0 is no limit, and then the window holds for it too")
	f.BoolVar(&o.stamped, "stamped", true, "subscriber: feed bodies that carry epoch and seq")
	f.BoolVar(&o.api, "api", false, "fanout, paced: also ours through wyvern.Publisher, which encodes")
	f.StringVar(&o.jsonFile, "json", "", "write every round's figures to this file")
	f.BoolVar(&o.check, "check", false, "exit with status 1 when a target is missed")
	if err := f.Parse(args); err != nil {
		return nil, err
	}

	var err error
	if o.scenarios, err = choose("scenario", *scenarios, scenarioNames()); err != nil {
		return nil, err
	}
	if o.rivals, err = choose("rivals", *rivals, []string{kindFloor, kindLibzmq, kindOurs}); err != nil {
		return nil, err
	}
	if o.fanoutSubs, err = numbers("subs", *subs); err != nil {
		return nil, err
	}
	if o.ipcWorkers, err = numbers("ipc-workers", *ipc); err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(*paced, ",") {
		n, gap, _ := strings.Cut(part, ":")
		p := pace{}
		if p.subs, err = strconv.Atoi(n); err != nil || p.subs < 1 {
			return nil, fmt.Errorf("-paced %q: want SUBSCRIBERS:GAP, such as 100:5ms", part)
		}
		if p.gap, err = time.ParseDuration(gap); err != nil || p.gap < time.Microsecond {
			return nil, fmt.Errorf("-paced %q: want SUBSCRIBERS:GAP, such as 100:5ms", part)
		}
		o.paced = append(o.paced, p)
	}
	for _, n := range append([]int{o.chainWorkers}, o.ipcWorkers...) {
		if n < 1 || n > maxWorkers {
			return nil, fmt.Errorf("%d workers: want 1 to %d", n, maxWorkers)
		}
	}
	if o.chainKind != kindLibzmq && o.chainKind != kindOurs {
		return nil, fmt.Errorf("-worker %q: want libzmq or ours", o.chainKind)
	}
	i := &o.isolation
	if i.subs < 1 || i.duration <= 0 || i.gap < 10*time.Microsecond {
		return nil, fmt.Errorf("-isolation-subs and -isolation-duration must be positive, -isolation-gap at least 10us")
	}
	if n := i.bulkSize(); n <= bodySize || n > maxBulk {
		return nil, fmt.Errorf("-isolation-bulk %d: an event of %d bytes each %s, want more than %d and at most %d", i.bulk, n, i.gap, bodySize, maxBulk)
	}
	if o.rounds < 1 || o.chainSubs < 1 || o.duration <= 0 || o.window < 0 || o.hwm < 0 {
		return nil, fmt.Errorf("-rounds, -chain-subs and -duration must be positive, -window and -hwm not negative")
	}
	return o, nil
}

// windowFor is the window for a number of subscribers. The default keeps the
// bytes in flight to all subscribers together below about 1 GB.
func (o *options) windowFor(subs int) uint64 {
	if o.window > 0 {
		return uint64(o.window)
	}
	return uint64(max(4096, min(32768, 4<<20/subs)))
}

// libzmqWindow is the window that a libzmq sender needs: none, because its
// high-water mark holds it back.
func (o *options) libzmqWindow(subs int) uint64 {
	if o.hwm > 0 {
		return 0
	}
	return o.windowFor(subs)
}

func choose(name, list string, valid []string) ([]string, error) {
	if list == "all" {
		return valid, nil
	}
	chosen := strings.Split(list, ",")
	for _, c := range chosen {
		if !slices.Contains(valid, c) {
			return nil, fmt.Errorf("-%s %q: want %s", name, c, strings.Join(valid, ", "))
		}
	}
	return chosen, nil
}

func numbers(name, list string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-%s %q: want positive numbers, comma-separated", name, part)
		}
		out = append(out, n)
	}
	return out, nil
}
