//go:build linux

package campaign

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// One seed is one schedule, and another seed another.
func TestPlanIsAFunctionOfTheSeed(t *testing.T) {
	shape := DefaultShape(true)
	for round := range 8 {
		a, b := Plan(1, round, &shape), Plan(1, round, &shape)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("round %d: two schedules of one seed", round)
		}
		if c := Plan(2, round, &shape); reflect.DeepEqual(a, c) {
			t.Errorf("round %d: one schedule of two seeds", round)
		}
		if round > 0 && reflect.DeepEqual(a, Plan(1, round-1, &shape)) {
			t.Errorf("rounds %d and %d are the same", round-1, round)
		}
	}
	// Whether the processes are of one kind or another changes nothing.
	other := DefaultShape(false)
	if !reflect.DeepEqual(Plan(1, 0, &shape), Plan(1, 0, &other)) {
		t.Error("the schedule depends on what the machine has")
	}
}

// In an hour there are thousands of faults, of every kind; mild rounds have only
// harmless ones; and a target is hit by one fault at a time and then left alone.
func TestPlan(t *testing.T) {
	shape := DefaultShape(true)
	const rounds = 60 // less than an hour has
	total := map[Kind]int{}
	for round := range rounds {
		s := Plan(7, round, &shape)
		for kind, n := range s.count() {
			total[kind] += n
			if s.Mild && !slices.Contains(Harmless, kind) {
				t.Errorf("round %d is mild and has %s", round, kind)
			}
		}
		for _, lane := range s.Lanes {
			free := time.Duration(0)
			for _, f := range lane {
				if f.At < free || f.At+f.For > faultTime {
					t.Errorf("round %d: %v begins before %v, or ends too late", round, f, free)
				}
				if f.Target != lane[0].Target {
					t.Errorf("round %d: %v is in the lane of target %d", round, f, lane[0].Target)
				}
				free = f.At + f.For + leastPause
			}
		}
	}
	sum := 0
	for _, kind := range Kinds {
		if total[kind] < 10 {
			t.Errorf("%d faults of kind %s in %d rounds", total[kind], kind, rounds)
		}
		sum += total[kind]
	}
	t.Logf("%d faults in %d rounds: %v", sum, rounds, total)
	if sum < 3000 {
		t.Errorf("%d faults in %d rounds, want 3000", sum, rounds)
	}
}
