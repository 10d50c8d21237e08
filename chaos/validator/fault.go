package validator

import (
	"cmp"
	"slices"
)

// fault is something that was broken for a time.
type fault struct {
	kind       string
	start, end int64
	on         []string
	confirmed  bool
	proof      string
}

// everything in a fault's On means that it concerns everybody.
const everything = "*"

// concerns says whether a fault hits one of the parts.
func (f *fault) concerns(parts ...string) bool {
	for _, on := range f.on {
		if on == everything || slices.Contains(parts, on) {
			return true
		}
	}
	return false
}

// faults are kept in the order of their start.
type faults []*fault

func (fs *faults) add(f *fault) {
	at, _ := slices.BinarySearchFunc(*fs, f.start, func(f *fault, t int64) int { return cmp.Compare(f.start, t+1) })
	*fs = slices.Insert(*fs, at, f)
}

// concerning returns those that hit one of the parts.
func (fs faults) concerning(parts ...string) faults {
	var hit faults
	for _, f := range fs {
		if f.concerns(parts...) {
			hit = append(hit, f)
		}
	}
	return hit
}

// deadline returns when what was due within after t is due, given that the time
// starts anew at the end of each fault that was under way meanwhile. disturbed
// says whether there was one, or had been one shortly before t.
func (fs faults) deadline(t, within int64) (at int64, disturbed bool) {
	at = t + within
	for _, f := range fs { // in the order of their start, so one pass does
		if f.start > at {
			break
		}
		disturbed = disturbed || f.end+within > t
		at = max(at, f.end+within)
	}
	return at, disturbed
}

// since drops those that ended before t.
func (fs faults) since(t int64) faults {
	return slices.DeleteFunc(fs, func(f *fault) bool { return f.end < t })
}
