package fanlog

import (
	"context"
	"fmt"
	"time"
)

// stuckTime is how long a session may take nothing before a flush stops
// waiting for it.
const stuckTime = time.Second

// flush is one request to be told when a loop's sessions have everything.
type flush struct {
	stuck int
	done  chan struct{}
}

// StuckError says that a flush did not wait for some sessions.
type StuckError struct{ Sessions int }

func (e *StuckError) Error() string {
	return fmt.Sprintf("%d subscribers take nothing and were not waited for", e.Sessions)
}

// Flush blocks until everything appended before the call was taken by the
// other end of every connection, or ctx ends. A session that has taken nothing
// for a second is not waited for; then the error is a *StuckError.
func (f *Fanout) Flush(ctx context.Context) error {
	stuck := 0
	for _, l := range f.loops {
		fl := &flush{done: make(chan struct{})}
		l.post(func() { l.flushes = append(l.flushes, fl) })
		select {
		case <-fl.done:
			stuck += fl.stuck
		case <-ctx.Done():
			return ctx.Err()
		case <-f.done:
			return ErrClosed
		}
	}
	if stuck > 0 {
		return &StuckError{Sessions: stuck}
	}
	return nil
}

// answerFlushes lets go the flushes that are complete: everything was written,
// and acknowledged by the other end's kernel, so that closing loses nothing.
func (l *loop) answerFlushes() {
	stuck := 0
	for _, s := range l.sessions {
		switch {
		case s.active && !s.caught || len(s.out) > 0:
			if l.now.Sub(s.moved) < stuckTime {
				return
			}
			stuck++
		case s.active && l.now.Sub(s.moved) < stuckTime && unacknowledged(s.fd) > 0:
			return
		}
	}
	for _, f := range l.flushes {
		f.stuck = stuck
		close(f.done)
	}
	l.flushes = nil
}
