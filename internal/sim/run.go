package sim

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Failure is a run in which something was violated.
type Failure struct {
	Seed uint64
	Violation
	Trace []string // the last steps that concern it
}

// String says what, and how to run it again.
func (f *Failure) String() string {
	s := fmt.Sprintf("seed %d: %s: subscriber %d, topic %d, publisher %d: %s\n", f.Seed, f.Property, f.sub, f.topic, f.pub, f.What)
	for _, line := range f.Trace {
		s += "  " + line + "\n"
	}
	return s + fmt.Sprintf("again: go test ./internal/sim -run TestReplay -seed %d", f.Seed)
}

// Replay plays the run of a seed, and returns what it violated, with the last
// steps that concern it, or nil.
func Replay(seed uint64, steps int) *Failure {
	w := newWorld(NewStats())
	w.run(seed)
	v := w.violation
	if v == nil {
		return nil
	}
	f := &Failure{Seed: seed, Violation: *v}
	w = newWorld(NewStats())
	w.trace = func(s, t, p int, format string, args ...any) {
		if w.violation != nil || s >= 0 && s != v.sub || t >= 0 && t != v.topic || p >= 0 && v.pub >= 0 && p != v.pub {
			return
		}
		if f.Trace = append(f.Trace, fmt.Sprintf(format, args...)); len(f.Trace) > 2*steps {
			f.Trace = append(f.Trace[:0], f.Trace[len(f.Trace)-steps:]...)
		}
	}
	w.run(seed)
	if len(f.Trace) > steps {
		f.Trace = f.Trace[len(f.Trace)-steps:]
	}
	return f
}

// Campaign plays the runs of one seed after the other, from the first on, on so
// many goroutines, until enough says so of what was counted. It stops at a
// violation.
func Campaign(first uint64, workers int, enough func(*Stats) bool) (*Stats, *Failure) {
	var (
		next  atomic.Uint64
		stop  atomic.Bool
		mu    sync.Mutex
		total = NewStats()
		worst *Failure
		wg    sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			stats := NewStats()
			w := newWorld(stats)
			for !stop.Load() {
				seed := first + next.Add(1) - 1
				w.run(seed)
				mu.Lock()
				total.Add(stats)
				if w.violation != nil && (worst == nil || seed < worst.Seed) {
					worst = &Failure{Seed: seed, Violation: *w.violation}
				}
				if worst != nil || enough(total) {
					stop.Store(true)
				}
				mu.Unlock()
				seen := stats.seen
				*stats = Stats{seen: seen}
				clear(seen)
			}
		})
	}
	wg.Wait()
	if worst != nil {
		if again := Replay(worst.Seed, 40); again != nil {
			return total, again
		}
		worst.What += " (and not when it was played again)"
	}
	return total, worst
}
