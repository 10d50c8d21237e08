package sim

import (
	"fmt"
	"math/bits"
	"strings"
)

// fault is a kind of fault.
type fault uint8

const (
	faultLoss fault = iota
	faultSnipe
	faultDuplicate
	faultReorder
	faultDelay
	faultPartition
	faultRestart
	faultKill
	faultSleepPub
	faultSleepSub
	faultMissedAsleep
	faultClock
	faultHandler
	faultEviction
	faultCut
	faultBlackHole
	faultFrame
	faultStuck
	faultSlow
	faultRoute
	faultChurn
	faults
)

var faultNames = [faults]string{
	"message lost", "last message lost", "message repeated", "message overtaken", "message late", "message partitioned off",
	"publisher restarted", "publisher killed", "publisher asleep", "subscriber asleep", "message missed asleep", "clock set",
	"handler failed", "topic forgotten", "connection cut", "event held up by a dead line", "frame lost", "session stuck", "session slow",
	"wrong address", "subscription changed",
}

// sketches is how many different states are told apart: a hash each.
const sketches = 1 << 20

// Stats counts what a run did.
type Stats struct {
	Runs     uint64
	Events   uint64 // accepted
	Arrivals uint64
	Calls    uint64 // of handlers
	Resyncs  uint64 // of those
	Faults   [faults]uint64
	seen     []uint64
}

// strike counts a fault that struck.
func (s *Stats) strike(f fault) { s.Faults[f]++ }

// sketch notes a state, and what happened in it.
func (s *Stats) sketch(k, what uint32) {
	h := (uint64(k)<<8 | uint64(what)) * 0x9e3779b97f4a7c15 >> 44
	s.seen[h/64] |= 1 << (h % 64)
}

// NewStats returns zero.
func NewStats() *Stats { return &Stats{seen: make([]uint64, sketches/64)} }

// Add adds what another one counted.
func (s *Stats) Add(o *Stats) {
	s.Runs += o.Runs
	s.Events += o.Events
	s.Arrivals += o.Arrivals
	s.Calls += o.Calls
	s.Resyncs += o.Resyncs
	for i := range s.Faults {
		s.Faults[i] += o.Faults[i]
	}
	for i := range s.seen {
		s.seen[i] |= o.seen[i]
	}
}

// Struck is how many faults there were in all.
func (s *Stats) Struck() (n uint64) {
	for f, k := range s.Faults {
		if fault(f) != faultChurn { // no fault, only a nuisance
			n += k
		}
	}
	return n
}

// States is how many different pairs of a state and what happened in it were
// seen.
func (s *Stats) States() (n int) {
	for _, w := range s.seen {
		n += bits.OnesCount64(w)
	}
	return n
}

// String returns a table.
func (s *Stats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %d events accepted, %d messages arrived, %d handler calls, %d of them resyncs\n", s.Runs, s.Events, s.Arrivals, s.Calls, s.Resyncs)
	for f, n := range s.Faults {
		fmt.Fprintf(&b, "%12d  %s\n", n, faultNames[f])
	}
	fmt.Fprintf(&b, "%12d  faults that struck\n%12d  states and transitions of the tracker", s.Struck(), s.States())
	return b.String()
}
