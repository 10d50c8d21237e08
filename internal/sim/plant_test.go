//go:build plant

package sim

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// planted are the bugs, each with the properties of which one must be found to
// be violated.
var planted = []struct {
	bug  plant.Bug
	seed uint64 // from which on to look, so that it is found soon
	want []string
}{
	{plant.PerPublisherNumbers, 1, []string{"needless"}},
	{plant.BeaconWhenAllIdle, 1, []string{"I5", "needless"}},
	{plant.QuotaWithoutFloor, 1, []string{"I5", "I4"}},
	{plant.GapsAboveTwo, 1, []string{"I4"}},
	{plant.EpochIsIdentity, 28, []string{"I5"}},
	{plant.GiveUp, 1, []string{"I5", "I7"}},
	{plant.ToldOnce, 1, []string{"I5", "I7"}},
	{plant.BeaconOvertakes, 1, []string{"I5", "I4"}},
	{plant.FirstBelieved, 1, []string{"I5", "I4"}},
	{plant.PatienceUntold, 1, []string{"I4", "I5"}},
	{plant.CallAfterDrop, 1, []string{"I1"}},
	{plant.SyncSkipped, 1, []string{"I5", "I7", "I4"}},
	{plant.LostOnce, 660, []string{"I5"}},
	{plant.CoveredForgotten, 1, []string{"I7", "I5", "I4"}},
	{plant.DuplicateDelivered, 1, []string{"I2", "I3"}},
	{plant.WallClock, 1, []string{"I5", "I7"}},
	{plant.ResumeInFlight, 738, []string{"I5", "I4"}},
	{plant.ResumeOtherServer, 1310, []string{"I5", "I4"}},
	{plant.EmptyEpoch, 87, []string{"I5"}},
	{plant.MarkOvertakes, 1, []string{"I5", "I6", "I4"}},
	{plant.SkipUntold, 761, []string{"I5", "I4"}},
	{plant.HeartbeatNoData, 1, []string{"I5"}},
	{plant.ResubscribeDrops, 1, []string{"I5"}},
	{plant.CountIgnored, 1, []string{"I5"}},
	{plant.GoneUntold, 103, []string{"I5"}},
}

// TestPlanted puts one known bug after the other into the code. Each must be
// found.
func TestPlanted(t *testing.T) {
	defer plant.Set(plant.None)
	var table strings.Builder
	fmt.Fprintf(&table, "%-22s %-9s %s\n", "bug", "property", "seed")
	for i, bug := range plant.Simulated {
		if len(planted) != len(plant.Simulated) || planted[i].bug != bug {
			t.Fatalf("the rows are not plant.Simulated, in its order: see row %d, %s", i, bug)
		}
	}
	for _, c := range planted {
		plant.Set(c.bug)
		_, f := Campaign(c.seed, runtime.GOMAXPROCS(0), func(s *Stats) bool { return s.Runs >= 3000 })
		if f == nil {
			t.Errorf("%s was not found", c.bug)
			fmt.Fprintf(&table, "%-22s %-9s -\n", c.bug, "NOT FOUND")
			continue
		}
		fmt.Fprintf(&table, "%-22s %-9s %d\n", c.bug, f.Property, f.Seed)
		if !slices.Contains(c.want, f.Property) {
			t.Errorf("%s violates %s, and not one of %v: %s", c.bug, f.Property, c.want, f.What)
		}
	}
	t.Log(table.String())
}
