//go:build linux

package campaign

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// Summary is what became of a campaign.
type Summary struct {
	Seed       uint64
	Rounds     int
	Took       time.Duration
	Result     validator.Result
	Violations []string // of the validator and others, each with its round
	Logs       string   // where they are, if they were kept
	Stalls     int64    // of the machine: times at which nothing ran

	mu     sync.Mutex
	struck map[Kind]int
	missed map[Kind]int
}

// fault counts one.
func (s *Summary) fault(kind Kind, p proof) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.struck == nil {
		s.struck, s.missed = make(map[Kind]int), make(map[Kind]int)
	}
	if p.struck {
		s.struck[kind]++
	} else {
		s.missed[kind]++
	}
}

// Confirmed is how many faults struck.
func (s *Summary) Confirmed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sum(s.struck)
}

func sum(counts map[Kind]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}

// Print prints it.
func (s *Summary) Print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, "\n%-16s %10s %12s\n", "fault", "confirmed", "unconfirmed")
	for _, kind := range Kinds {
		if s.struck[kind]+s.missed[kind] > 0 {
			fmt.Fprintf(w, "%-16s %10d %12d\n", kind, s.struck[kind], s.missed[kind])
		}
	}
	faults := sum(s.struck)
	fmt.Fprintf(w, "%-16s %10d %12d\n", "all", faults, sum(s.missed))
	if s.Took > 0 {
		fmt.Fprintf(w, "%d confirmed faults per hour\n", int(float64(faults)/s.Took.Hours()))
	}
	r := &s.Result
	fmt.Fprintf(w, "\nevents %d, deliveries %d\n", r.Accepted, r.Deliveries)
	fmt.Fprintf(w, "owed %d, of them not seen but covered by a resync %d; excused, because their worker died, %d\n", r.Owed, r.Covered, r.Excused)
	fmt.Fprintf(w, "slowest that no fault concerned %v\n", r.Slowest.Round(time.Millisecond))
	if s.Stalls > 0 {
		fmt.Fprintf(w, "the machine stood still %d times\n", s.Stalls)
	}
	fmt.Fprintf(w, "resyncs %d\n", total(r.Resyncs))
	for _, reason := range slices.SortedFunc(maps.Keys(r.Resyncs), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Resyncs[b], r.Resyncs[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "  %-28s %d\n", cmp.Or(reason, "(published as an event)"), r.Resyncs[reason])
	}
	fmt.Fprintf(w, "\nviolations %d\n", s.violationsLocked())
	for _, property := range slices.Sorted(maps.Keys(r.Found)) {
		fmt.Fprintf(w, "  %-28s %d\n", property, r.Found[property])
	}
	for _, v := range s.Violations {
		fmt.Fprintln(w, "  "+v)
	}
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func (s *Summary) violationsLocked() int { return max(len(s.Violations), s.Result.Total()) }

// Failed says whether there was a violation.
func (s *Summary) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.violationsLocked() > 0
}
