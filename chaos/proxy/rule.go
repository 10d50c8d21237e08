package proxy

import "time"

// Direction is one of the two ways through a proxy, or both.
type Direction uint8

// The directions.
const (
	Up   Direction = 1 << iota // from who connects to the target
	Down                       // from the target
	Both = Up | Down
)

// String returns "up", "down" or "both ways".
func (d Direction) String() string {
	switch d {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "both ways"
}

// Rule is what happens to bytes in one direction. The zero value: they pass.
type Rule struct {
	// Hold lets nothing pass: a black hole.
	Hold bool
	// Delay is how long each piece waits; those behind it wait too.
	Delay time.Duration
	// Rate is how many bytes pass in a second; 0: any.
	Rate int
	// Slice passes bytes one by one.
	Slice bool
}

// Counts are what a proxy has done. They only rise.
type Counts struct {
	Accepted  int64 // connections
	Refused   int64 // connections that were reset at once
	Cut       int64 // connections that were ended in order
	Reset     int64 // connections that were ended without
	Held      int64 // connections that were begun in a black hole
	Passed    int64 // bytes, both ways
	Withheld  int64 // bytes that waited in a black hole
	Delayed   int64 // bytes that waited for Delay
	Throttled int64 // bytes that waited for Rate
	Sliced    int64 // bytes that went one by one
	Swallowed int64 // messages
}

// Minus returns what happened since an earlier time.
func (c Counts) Minus(o Counts) Counts {
	return Counts{
		Accepted: c.Accepted - o.Accepted, Refused: c.Refused - o.Refused, Cut: c.Cut - o.Cut, Reset: c.Reset - o.Reset,
		Held: c.Held - o.Held, Passed: c.Passed - o.Passed, Withheld: c.Withheld - o.Withheld, Delayed: c.Delayed - o.Delayed,
		Throttled: c.Throttled - o.Throttled, Sliced: c.Sliced - o.Sliced, Swallowed: c.Swallowed - o.Swallowed,
	}
}
