//go:build linux

package campaign

import (
	"fmt"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// What several bugs are shown by.
var (
	// crash: events are on their way, and the next instance begins anew.
	crash = []Fault{{Kind: ServiceKill, At: 500 * ms, For: 300 * ms}}
	cut   = []Fault{{Kind: LinkCut, At: 1200 * ms}}
	// lastSwallowed: the only event of a quiet topic is lost.
	lastSwallowed = []Fault{{Kind: LinkSwallow, At: 500 * ms, For: time.Second, Param: 1}}
	poisoned      = []Fault{{Kind: WorkerPoison, At: 300 * ms}}
	passed        = []Fault{{Kind: ServiceAhead}}
)

// still: nobody publishes unasked, and nobody holds anything that is not quiet.
func still(s *Shape) { s.Rate, s.Fixed, s.Pool, s.Some, s.Nodes = 0, []string{"rare"}, nil, 0, 1 }

// little: so little is published that a mark, which comes with every so many bytes,
// does not come by chance.
func little(s *Shape) { s.Rate, s.Size = 15, 50 }

// churning: topics come and go, and are busy.
func churning(every time.Duration) func(*Shape) {
	return func(s *Shape) {
		s.Churn, s.Rate, s.Even, s.Some, s.Nodes = every, 200, true, 8, 1
		s.Pool = nil
		for i := range 16 {
			s.Pool = append(s.Pool, fmt.Sprintf("topic-%d", i))
		}
	}
}

// large: events are, so that there are many marks.
func large(s *Shape) {
	churning(60 * ms)(s)
	s.Size, s.Retention, s.Sessions = 10000, 8<<20, 4
}

// Aims are the planted bugs that campaigns have to find.
var Aims = []Aim{
	{Bug: plant.PerPublisherNumbers, Short: true, Needless: true, Want: []string{validator.Needless, validator.Told}},
	{Bug: plant.GapsAboveTwo, Short: true, Want: []string{validator.Told},
		Faults: []Fault{{Kind: LinkSwallow, At: 300 * ms, For: time.Second}}},
	{Bug: plant.EpochIsIdentity, Short: true, Want: []string{validator.Told, validator.Notice}, Faults: crash},
	{Bug: plant.EpochOfIdentity, Short: true, Want: []string{validator.Unique, validator.Ordered, validator.Notice, validator.Told}, Faults: crash},
	{Bug: plant.StateUsedTwice, Want: []string{validator.Unique, validator.Ordered, validator.Notice, validator.Told},
		Faults: []Fault{{Kind: ServiceRestart, At: 500 * ms, Param: 1}, {Kind: ServiceKill, At: 2500 * ms}}},
	{Bug: plant.CoveredForgotten, Short: true, Want: []string{validator.Told, validator.Notice}, Faults: crash},
	{Bug: plant.ToldOnce, Want: []string{validator.Notice}, Shape: still,
		Faults: []Fault{{Kind: NodeFail, At: 300 * ms, For: 400 * ms}}},
	{Bug: plant.CallAfterDrop, Short: true, Want: []string{validator.Filter}, Shape: churning(20 * ms),
		Faults: []Fault{{Kind: NodeSlow, At: 200 * ms, For: time.Second}}},
	{Bug: plant.DuplicateDelivered, Short: true, Want: []string{validator.Unique, validator.Ordered}, Faults: cut},
	{Bug: plant.SyncSkipped, Short: true, Want: []string{validator.Notice}, Faults: poisoned},
	{Bug: plant.LoopEnds, Short: true, Want: []string{Died, validator.Notice}, Faults: poisoned},
	{Bug: plant.ResumeInFlight, Want: []string{validator.Notice},
		Shape: large, Faults: []Fault{{Kind: LinkFlap, For: 5 * time.Second}}},
	{Bug: plant.ResumeOtherServer, Short: true, Want: []string{validator.Notice}, Shape: still, Faults: passed},
	{Bug: plant.EmptyEpoch, Want: []string{validator.Notice}, Shape: still, Faults: passed},
	{Bug: plant.SkipUntold, Short: true, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: LinkMissed, At: 1200 * ms}}},
	{Bug: plant.BehindUntold, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: Overflow, At: 300 * ms, For: 1500 * ms}}},
	{Bug: plant.MarkOvertakes, Want: []string{validator.Notice, validator.Told}, Shape: func(s *Shape) { s.Retention = 16 << 20 },
		Faults: []Fault{{Kind: LinkBacklog, At: 300 * ms}}},
	{Bug: plant.HeartbeatNoData, Short: true, Want: []string{validator.Notice}, Shape: little, Faults: lastSwallowed},
	{Bug: plant.MarkWhenIdle, Want: []string{validator.Notice}, Shape: little, Faults: lastSwallowed},
	{Bug: plant.CountIgnored, Want: []string{validator.Notice}, Shape: little, Faults: lastSwallowed},
	{Bug: plant.ResubscribeDrops, Short: true, Want: []string{validator.Notice}, Faults: cut},
	{Bug: plant.GoneUntold, Short: true, Once: true, Want: []string{validator.Notice}, Shape: still,
		Faults: []Fault{{Kind: ServiceGone, At: 300 * ms}}},
	{Bug: plant.TwoAddresses, Short: true, Want: []string{validator.Unique}, Shape: func(s *Shape) { s.Twice = true }},
	{Bug: plant.ConfirmedUntold, Short: true, Want: []string{validator.Notice}, Shape: churning(60 * ms),
		Faults: []Fault{{Kind: LinkRefuse, At: 300 * ms, For: 900 * ms}}},
	{Bug: plant.ConfirmedEarly, Want: []string{validator.Notice}, Shape: churning(60 * ms),
		Faults: []Fault{{Kind: LinkDelay, At: 300 * ms, For: 2 * time.Second}}},
	{Bug: plant.ConnectGivesUp, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: LinkRefuse, At: 300 * ms, For: 3 * time.Second}}},
	{Bug: plant.WallClock, Once: true, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: LinkDead, At: 300 * ms}, {Kind: ClockBack, At: 1300 * ms}}},
	{Bug: plant.BindSteals, Short: true, Once: true, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: ServiceSecond, At: 300 * ms}, {Kind: WorkerKill}}},
	{Bug: plant.PushForgets, Short: true, Want: []string{validator.Notice},
		Faults: []Fault{{Kind: ServiceRestart, At: 300 * ms, Param: 0}}},
	{Bug: plant.RemadeUntold, Want: []string{validator.Notice}, Shape: func(s *Shape) { s.Foreign = true },
		Faults: []Fault{{Kind: LinkRefuse, At: 300 * ms, For: 800 * ms}}},
}
