//go:build linux

package campaign

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// soakRound is how often a soak is judged.
	soakRound = 2 * time.Minute
	// soakCuts is how many links are cut in that time.
	soakCuts = 4
)

// soakKinds are the cuts of a soak, each shorter than a second.
var soakKinds = []option{
	{LinkCut, 1, 0, 0},
	{LinkReset, 1, 0, 0},
	{LinkRefuse, 1, 100 * ms, 900 * ms},
	{LinkHole01, 1, 100 * ms, 100 * ms},
}

// Soak runs a healthy system: hundreds of subscribers that take and drop topics,
// and now and then a connection that is cut for less than a second. Nobody may be
// told to resync without need.
func Soak(ctx context.Context, o Options) (*Summary, error) {
	shape := SoakShape(o.Programs.Python != "")
	return runRounds(ctx, o, shape, func(round int) Schedule { return planSoak(o.Seed, round, &shape, o.Duration) })
}

// planSoak returns the schedule of a round of a soak.
func planSoak(seed uint64, round int, shape *Shape, duration time.Duration) Schedule {
	random := rand.New(rand.NewPCG(seed, uint64(round)))
	s := Schedule{Mild: true, Length: min(soakRound, duration)}
	for i := range soakCuts {
		// Each in its part of the round, so that no two of one link come together.
		part := s.Length / soakCuts
		o := soakKinds[random.IntN(len(soakKinds))]
		f := Fault{
			Kind: o.kind, At: time.Duration(i)*part + time.Duration(random.Int64N(int64(part/2))), For: o.least,
			Target: random.IntN(shape.Nodes), Group: random.IntN(shape.Groups), Service: random.IntN(len(shape.Services)),
			Param: random.IntN(params),
		}
		if o.most > o.least {
			f.For += time.Duration(random.Int64N(int64(o.most - o.least)))
		}
		s.Lanes = append(s.Lanes, []Fault{f})
	}
	return s
}
