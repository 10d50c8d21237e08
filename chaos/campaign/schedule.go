//go:build linux

package campaign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds.
const (
	ServiceKill    Kind = "service-kill"    // kill -9, and started again
	ServiceFull    Kind = "service-full"    // stopped, until its workers can write no more, then killed as above
	ServiceRestart Kind = "service-restart" // SIGTERM, and started again
	ServiceStop    Kind = "service-stop"    // SIGSTOP, SIGCONT
	ServiceFiles   Kind = "service-files"   // no descriptors, while everybody reconnects
	Overflow       Kind = "overflow"        // a node's handler stands still until its events are not retained any more
	WorkerKill     Kind = "worker-kill"
	WorkerStop     Kind = "worker-stop"
	NodeKill       Kind = "node-kill"
	NodeQuit       Kind = "node-quit" // ends in order, and is started again
	NodeStop       Kind = "node-stop"
	NodeStopLong   Kind = "node-stop-long"
	NodeSlow       Kind = "node-slow"  // the handler takes its time
	NodeStall      Kind = "node-stall" // the handler does not return
	NodeFiles      Kind = "node-files"
	LinkCut        Kind = "link-cut"   // FIN
	LinkReset      Kind = "link-reset" // RST
	LinkRefuse     Kind = "link-refuse"
	LinkHole01     Kind = "link-hole-0.1s"
	LinkHole1      Kind = "link-hole-1s"
	LinkHole6      Kind = "link-hole-6s"
	LinkDelay      Kind = "link-delay"
	LinkThrottle   Kind = "link-throttle"
	LinkSlice      Kind = "link-slice"
	LinkSwallow    Kind = "link-swallow" // one event is taken out of the stream
	LinkDead       Kind = "link-dead"    // the connection is dead for ever, and no side is told
	IPCDelay       Kind = "ipc-delay"
	IPCThrottle    Kind = "ipc-throttle"
	IPCSlice       Kind = "ipc-slice"
)

// Kinds are all.
var Kinds = []Kind{
	ServiceKill, ServiceFull, ServiceRestart, ServiceStop, ServiceFiles, Overflow, WorkerKill, WorkerStop,
	NodeKill, NodeQuit, NodeStop, NodeStopLong, NodeSlow, NodeStall, NodeFiles,
	LinkCut, LinkReset, LinkRefuse, LinkHole01, LinkHole1, LinkHole6, LinkDelay, LinkThrottle, LinkSlice, LinkSwallow, LinkDead,
	IPCDelay, IPCThrottle, IPCSlice,
}

// Harmless are those that nobody should have to be told of: nothing is lost by
// them that can't be sent again. Of an event that was swallowed a node is told
// when the next one of its topic comes before that.
var Harmless = []Kind{
	ServiceRestart, WorkerStop, NodeStop, NodeSlow, NodeStall, LinkCut, LinkReset, LinkRefuse, LinkHole01, LinkHole1, LinkDelay, LinkSlice,
	IPCDelay, IPCThrottle, IPCSlice,
}

// Fault is one of a schedule.
type Fault struct {
	Kind Kind
	// At is when it begins, from the beginning of the round, For how long it
	// lasts, or until who was killed is started again.
	At, For time.Duration
	// Target is the index of the service, worker or node that it hits. Of a link
	// Group is which of the node's, Service the other end.
	Target, Group, Service int
	// Param is what else there is to choose: a direction, a service.
	Param int
}

// String returns it in a few words.
func (f Fault) String() string {
	return fmt.Sprintf("%s %d/%d at %.3fs for %.3fs, %d", f.Kind, f.Target, f.Service, f.At.Seconds(), f.For.Seconds(), f.Param)
}

// Schedule is what happens in a round. The faults of a lane hit the same target,
// one after the other; lanes go on side by side.
type Schedule struct {
	// Mild: all are Harmless, so that no resync may hide what is lost.
	Mild  bool
	Lanes [][]Fault
	// Length is how long the round lasts at least, before the quiet.
	Length time.Duration
}

// faultTime is for how long a round has faults.
const faultTime = 30 * time.Second

// option is a kind that may be drawn, as often as its weight says, and how long
// it lasts.
type option struct {
	kind        Kind
	weight      int
	least, most time.Duration
}

const ms = time.Millisecond

var (
	serviceOptions = []option{
		{ServiceKill, 2, 0, 1500 * ms},
		{ServiceFull, 2, 0, 500 * ms},
		{ServiceStop, 3, 200 * ms, 2500 * ms},
		{ServiceFiles, 2, 1000 * ms, 2000 * ms},
	}
	restartOption = option{ServiceRestart, 4, 0, 500 * ms}
	workerOptions = []option{
		{WorkerKill, 1, 0, 500 * ms},
		{WorkerStop, 2, 100 * ms, 2000 * ms},
	}
	nodeOptions = []option{
		{NodeKill, 2, 0, 1000 * ms},
		{NodeQuit, 1, 0, 500 * ms},
		{NodeStop, 3, 100 * ms, 1000 * ms},
		{NodeStopLong, 1, 4000 * ms, 6000 * ms},
		{NodeSlow, 2, 500 * ms, 1500 * ms},
		{NodeStall, 2, 500 * ms, 2500 * ms},
		{NodeFiles, 1, 500 * ms, 1000 * ms},
		{Overflow, 1, 1500 * ms, 2500 * ms},
	}
	linkOptions = []option{
		{LinkCut, 3, 0, 0},
		{LinkReset, 3, 0, 0},
		{LinkRefuse, 2, 100 * ms, 900 * ms},
		{LinkHole01, 3, 100 * ms, 100 * ms},
		{LinkHole1, 3, 1000 * ms, 1000 * ms},
		{LinkHole6, 1, 6000 * ms, 6000 * ms},
		{LinkDelay, 1, 300 * ms, 1000 * ms},
		{LinkThrottle, 1, 500 * ms, 1500 * ms},
		{LinkSlice, 1, 200 * ms, 500 * ms},
		{LinkSwallow, 2, 1000 * ms, 1000 * ms},
		{LinkDead, 1, 0, 0},
	}
	ipcOptions = []option{
		{IPCDelay, 1, 300 * ms, 1000 * ms},
		{IPCThrottle, 1, 300 * ms, 1000 * ms},
		{IPCSlice, 1, 200 * ms, 500 * ms},
	}
)

// mildEvery is how many rounds have one that is mild.
const mildEvery = 4

// Plan returns the schedule of a round: the same for the same seed, round and
// shape.
func Plan(seed uint64, round int, shape *Shape) Schedule {
	random := rand.New(rand.NewPCG(seed, uint64(round)))
	s := Schedule{Mild: round%mildEvery == mildEvery-1}
	lane := func(pause time.Duration, options []option, target, service int) {
		if s.Mild {
			options = slices.DeleteFunc(slices.Clone(options), func(o option) bool { return !slices.Contains(Harmless, o.kind) })
		}
		if len(options) == 0 {
			return
		}
		if faults := planLane(random, pause, options, target, service); len(faults) > 0 {
			s.Lanes = append(s.Lanes, faults)
		}
	}
	for i, svc := range shape.Services {
		options := serviceOptions
		if svc.Restarts {
			options = append([]option{restartOption}, options...)
		}
		lane(10*time.Second, options, i, i)
	}
	for i, w := range shape.Workers {
		lane(7*time.Second, workerOptions, i, w.Service)
		if w.Proxied {
			lane(5*time.Second, ipcOptions, i, w.Service)
		}
	}
	for i := range shape.Nodes {
		lane(9*time.Second, nodeOptions, i, 0)
		for j := range shape.Services {
			lane(9*time.Second, linkOptions, i, j)
		}
	}
	return s
}

// params is how many values Param has: a multiple of what it chooses from.
const params = 12

// leastPause is the time that a target is left alone after a fault: it must have
// come back, or several short faults would be a long one.
const leastPause = 2 * time.Second

// planLane draws the faults of one target, with pauses of that length on average.
func planLane(random *rand.Rand, pause time.Duration, options []option, target, service int) []Fault {
	var faults []Fault
	total := 0
	for _, o := range options {
		total += o.weight
	}
	at := time.Duration(random.Float64() * float64(pause))
	for {
		draw := random.IntN(total)
		i := slices.IndexFunc(options, func(o option) bool { draw -= o.weight; return draw < 0 })
		o := options[i]
		f := Fault{Kind: o.kind, At: at, For: o.least, Target: target, Service: service, Param: random.IntN(params)}
		if o.most > o.least {
			f.For += time.Duration(random.Int64N(int64(o.most - o.least)))
		}
		if f.At+f.For > faultTime {
			return faults
		}
		faults = append(faults, f)
		at += f.For + leastPause + time.Duration(random.ExpFloat64()*float64(max(pause-leastPause, 0)))
	}
}

// count is how many faults there are of each kind.
func (s *Schedule) count() map[Kind]int {
	n := make(map[Kind]int)
	for _, lane := range s.Lanes {
		for _, f := range lane {
			n[f.Kind]++
		}
	}
	return n
}
