package validator

import (
	"fmt"
	"time"
)

// The properties, as a Violation names them.
const (
	Filter   = "I1 filter"
	Ordered  = "I2 ordered"
	Unique   = "I3 unique"
	Told     = "I4 contiguous or told"
	Notice   = "I5 bounded notice"
	Needless = "resync without need"
	Log      = "log" // the log contradicts itself: nothing can be proven
)

// Violation is one break of a property.
type Violation struct {
	Property string
	Session  string
	Topic    string
	At       int64 // when it was, or should have been
	Detail   string
}

// String returns it in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: session %s, topic %q, at %.3fs: %s", v.Property, v.Session, v.Topic, time.Duration(v.At).Seconds(), v.Detail)
}

// Result is what one Check found.
type Result struct {
	// Violations are the first ones, Found how many there were by property.
	Violations []Violation
	Found      map[string]int

	Accepted   int // events
	Deliveries int // of them to handlers
	Resyncs    map[string]int
	// Owed counts pairs of an event and a session that held its topic and was
	// there for as long as it may take; Covered were not seen but told, Excused
	// died with their worker, Unsettled are judged by the next Check.
	Owed, Covered, Excused, Unsettled int
	// Slowest is the longest time from acceptance until an event that is owed
	// was seen or covered while no fault concerned it.
	Slowest time.Duration
}

// maxViolations bounds those that are kept, of each property.
const maxViolations = 20

func (r *Result) add(v Violation) {
	if r.Found == nil {
		r.Found = make(map[string]int)
	}
	r.Found[v.Property]++
	if r.Found[v.Property] <= maxViolations {
		r.Violations = append(r.Violations, v)
	}
}

// Merge adds what another Check found.
func (r *Result) Merge(o *Result) {
	for _, v := range o.Violations {
		if r.Found[v.Property] < maxViolations {
			r.Violations = append(r.Violations, v)
		}
	}
	for name, n := range o.Found {
		if r.Found == nil {
			r.Found = make(map[string]int)
		}
		r.Found[name] += n
	}
	for reason, n := range o.Resyncs {
		if r.Resyncs == nil {
			r.Resyncs = make(map[string]int)
		}
		r.Resyncs[reason] += n
	}
	r.Accepted += o.Accepted
	r.Deliveries += o.Deliveries
	r.Owed += o.Owed
	r.Covered += o.Covered
	r.Excused += o.Excused
	r.Unsettled = o.Unsettled
	r.Slowest = max(r.Slowest, o.Slowest)
}

// Total is how many violations there were.
func (r *Result) Total() int {
	total := 0
	for _, n := range r.Found {
		total += n
	}
	return total
}
