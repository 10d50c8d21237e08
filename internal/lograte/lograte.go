// Package lograte keeps a flood of like events from becoming a flood of log
// lines: a few pass, the others are counted and the next line says how many.
//
// # Concurrency
//
// A Limiter may be used from any number of goroutines.
package lograte

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limiter passes at most Burst lines in Every. The zero value passes 5 in
// a second.
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
		every = time.Second
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

// Warn logs msg with args, as slog takes them, or counts it.
func (l *Limiter) Warn(log *slog.Logger, msg string, args ...any) {
	suppressed, ok := l.Allow(time.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	log.Log(context.Background(), slog.LevelWarn, msg, args...)
}
