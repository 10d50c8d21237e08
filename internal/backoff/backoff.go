// Package backoff computes growing, jittered delays between attempts.
//
// It only computes: whoever waits does so with its own timer and context. A
// [Backoff] belongs to one goroutine.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Backoff is the state of one series of attempts. The zero value works.
type Backoff struct {
	// Min is the base of the first delay and Max that of the last ones;
	// defaults 100 ms and 10 s. A Max below Min counts as Min.
	Min, Max time.Duration
	// Rand returns a number from 0 to 1, without 1; default: math/rand.
	Rand func() float64

	base time.Duration // of the next delay; 0: Min
}

// Next returns how long to wait before the next attempt: at random between a
// half and the whole of a base that doubles from Min to Max. Half is kept so
// that a delay is never next to nothing; half is random so that peers that
// failed together don't return together.
func (b *Backoff) Next() time.Duration {
	low, high := b.Min, b.Max
	if low <= 0 {
		low = 100 * time.Millisecond
	}
	if high <= 0 {
		high = 10 * time.Second
	}
	high = max(high, low)
	base := min(max(b.base, low), high)
	if base > high/2 {
		b.base = high
	} else {
		b.base = 2 * base
	}
	random := b.Rand
	if random == nil {
		random = rand.Float64
	}
	half := base / 2
	return base - half + time.Duration(random()*float64(half))
}

// Reset makes the next delay a first one. Call it when an attempt succeeded.
func (b *Backoff) Reset() { b.base = 0 }
