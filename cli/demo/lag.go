package demo

import (
	"math/bits"
	"time"
)

// Histogram counts durations in microseconds, in buckets of which each is at
// most an eighth wider than the one before. The index is the bucket.
type Histogram []uint64

// Quantiles of a histogram.
type Quantiles struct {
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

// bucket returns the bucket of a duration: below 8 µs one each, and then eight
// for every power of two.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 8 {
		return int(us)
	}
	shift := bits.Len64(us) - 4
	return (shift+1)*8 + int(us>>shift&7)
}

// upper returns the least duration beyond a bucket.
func upper(bucket int) time.Duration {
	if bucket < 8 {
		return time.Duration(bucket+1) * time.Microsecond
	}
	shift, low := bucket/8-1, bucket%8
	return time.Duration(uint64(8+low+1)<<shift) * time.Microsecond
}

func (h *Histogram) add(d time.Duration) {
	b := bucket(d)
	for len(*h) <= b {
		*h = append(*h, 0)
	}
	(*h)[b]++
}

func (h *Histogram) merge(other Histogram) {
	for len(*h) < len(other) {
		*h = append(*h, 0)
	}
	for b, n := range other {
		(*h)[b] += n
	}
}

// quantiles are the upper ends of their buckets; 0 of an empty histogram.
func (h Histogram) quantiles() Quantiles {
	var total uint64
	for _, n := range h {
		total += n
	}
	at := func(rank uint64) time.Duration {
		var seen uint64
		for b, n := range h {
			if seen += n; seen > rank {
				return upper(b)
			}
		}
		return 0
	}
	if total == 0 {
		return Quantiles{}
	}
	return Quantiles{at(total / 2), at(total * 99 / 100), at(total - 1)}
}
