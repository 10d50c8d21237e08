package wyvern

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// logInterval is how often one kind of trouble is logged.
const logInterval = time.Second

// rateLog logs one kind of trouble at most once per logInterval, with how many
// lines it left out before: whoever makes the trouble may make it a million
// times a second. The zero value works.
type rateLog struct {
	mu         sync.Mutex
	last       time.Time
	suppressed uint64
}

// warn logs, or counts. args are slog's.
func (r *rateLog) warn(log *slog.Logger, msg string, args ...any) {
	r.mu.Lock()
	now := time.Now()
	if !r.last.IsZero() && now.Sub(r.last) < logInterval {
		r.suppressed++
		r.mu.Unlock()
		return
	}
	suppressed := r.suppressed
	r.last, r.suppressed = now, 0
	r.mu.Unlock()
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	log.Log(context.Background(), slog.LevelWarn, msg, args...)
}
