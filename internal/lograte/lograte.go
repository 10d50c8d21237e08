// Package lograte keeps a flood of like events from becoming a flood of log
// lines: a few pass, the others are counted and the next line says how many.
//
// # Concurrency
//
// A Limiter may be used from any number of goroutines.
package lograte

import (
	"sync"
	"time"
)

// Limiter passes at most Burst lines in Every. The zero value passes 5 in
// 10 seconds.
type Limiter struct {
	Burst int
	Every time.Duration

	mu         sync.Mutex
	began      time.Time
	passed     int
	suppressed uint64
}

// Allow says whether a line may be logged at now, and how many were not since
// the last one that was.
func (l *Limiter) Allow(now time.Time) (suppressed uint64, ok bool) {
	burst, every := l.Burst, l.Every
	if burst <= 0 {
		burst = 5
	}
	if every <= 0 {
		every = 10 * time.Second
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.began) >= every {
		l.began, l.passed = now, 0
	}
	if l.passed >= burst {
		l.suppressed++
		return 0, false
	}
	l.passed++
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
