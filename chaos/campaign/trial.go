//go:build linux

package campaign

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Trials are how long something took, many times.
type Trials struct {
	What string
	// Most is the longest that is right.
	Most time.Duration
	// AtLeast is how many trials are needed.
	AtLeast int

	mu     sync.Mutex
	took   []time.Duration
	missed int      // trials whose fault did not strike
	failed []string // trials that never came to an end
}

func (t *Trials) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, d)
}

func (t *Trials) miss() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missed++
}

func (t *Trials) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, fmt.Sprintf(format, args...))
}

// Good says whether there were enough trials, and all in time.
func (t *Trials) Good() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.took) > 0 && len(t.took) >= t.AtLeast && len(t.failed) == 0 && slices.Max(t.took) <= t.Most
}

// Print prints the distribution.
func (t *Trials) Print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	fmt.Fprintf(w, "%s: %d trials", t.What, len(t.took))
	if n := len(t.took); n > 0 {
		at := func(share float64) time.Duration { return t.took[int(share*float64(n-1))].Round(time.Millisecond) }
		late := n - slices.IndexFunc(append(t.took, t.Most+1), func(d time.Duration) bool { return d > t.Most })
		fmt.Fprintf(w, ", min %v, median %v, 99 %% %v, max %v; %d over %v", at(0), at(0.5), at(0.99), at(1), max(late, 0), t.Most)
	}
	fmt.Fprintf(w, "; %d never; %d faults missed\n", len(t.failed), t.missed)
	for i, f := range t.failed {
		if i == 10 {
			fmt.Fprintf(w, "  and %d more\n", len(t.failed)-i)
			break
		}
		fmt.Fprintf(w, "  %s\n", f)
	}
}
