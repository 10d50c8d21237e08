package sim

import (
	"flag"
	"runtime"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

var (
	steps  = flag.Int("steps", 60, "how many steps of the run to print")
	seed   = flag.Uint64("seed", 1, "the run to play again, or the first of a campaign")
	faultN = flag.Uint64("faults", 0, "how many faults a campaign has to strike; 0: what fits into a quarter of a minute")
)

// TestReplay plays one run and prints its last steps.
func TestReplay(t *testing.T) {
	if f := Replay(*seed, *steps); f != nil {
		t.Error(f)
	}
}

// The same seed is the same run, whatever was run before.
func TestDeterministic(t *testing.T) {
	used := newWorld(NewStats())
	for seed := range uint64(40) {
		used.stats = NewStats()
		used.run(seed)
		fresh := newWorld(NewStats())
		fresh.run(seed)
		if one, two := used.stats.String(), fresh.stats.String(); one != two {
			t.Fatalf("seed %d: %v, and then %v", seed, one, two)
		}
	}
}

func TestSim(t *testing.T) {
	if plant.Enabled {
		t.Skip("TestPlanted chooses what is wrong")
	}
	began := time.Now()
	enough := func(s *Stats) bool { return time.Since(began) > 15*time.Second }
	if *faultN > 0 {
		enough = func(s *Stats) bool { return s.Struck() >= *faultN }
	}
	stats, failure := Campaign(*seed, runtime.GOMAXPROCS(0), enough)
	t.Logf("from seed %d, %.1f s: %v", *seed, time.Since(began).Seconds(), stats)
	if failure != nil {
		t.Fatal(failure)
	}
	for f, n := range stats.Faults {
		if n == 0 {
			t.Errorf("%s: never struck", faultNames[f])
		}
	}
}
