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
	want []string
}{
	{plant.PerPublisherNumbers, []string{"needless"}},
	{plant.BeaconWhenAllIdle, []string{"I5", "needless"}},
	{plant.QuotaWithoutFloor, []string{"I5", "I4"}},
	{plant.GapsAboveTwo, []string{"I4"}},
	{plant.EpochIsIdentity, []string{"I5"}},
	{plant.GiveUp, []string{"I5", "I7"}},
	{plant.ToldOnce, []string{"I5", "I7"}},
	{plant.BeaconOvertakes, []string{"I5", "I4"}},
	{plant.FirstBelieved, []string{"I5", "I4"}},
	{plant.PatienceUntold, []string{"I4", "I5"}},
	{plant.CallAfterDrop, []string{"I1"}},
	{plant.SyncSkipped, []string{"I5", "I7", "I4"}},
	{plant.LostOnce, []string{"I5"}},
	{plant.CoveredForgotten, []string{"I7", "I5", "I4"}},
	{plant.DuplicateDelivered, []string{"I2", "I3"}},
	{plant.WallClock, []string{"I5", "I7"}},
	{plant.ResumeInFlight, []string{"I5", "I4"}},
	{plant.ResumeOtherServer, []string{"I5", "I4"}},
	{plant.EmptyEpoch, []string{"I5"}},
	{plant.MarkOvertakes, []string{"I5", "I6", "I4"}},
	{plant.SkipUntold, []string{"I5", "I4"}},
	{plant.HeartbeatNoData, []string{"I5"}},
	{plant.ResubscribeDrops, []string{"I5"}},
	{plant.CountIgnored, []string{"I5"}},
	{plant.GoneUntold, []string{"I5"}},
}

// TestPlanted puts one known bug after the other into the code. Each must be
// found.
func TestPlanted(t *testing.T) {
	defer plant.Set(plant.None)
	var table strings.Builder
	fmt.Fprintf(&table, "%-22s %-9s %s\n", "bug", "property", "seed")
	for _, c := range planted {
		plant.Set(c.bug)
		_, f := Campaign(*seed, runtime.GOMAXPROCS(0), func(s *Stats) bool { return s.Runs >= 2000 })
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
