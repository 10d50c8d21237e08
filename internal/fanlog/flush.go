package fanlog

import (
	"context"
	"fmt"
	"time"
)

// stuckTime is how long a session may take nothing before a flush stops
// waiting for it.
const stuckTime = time.Second

// flushEvery is how often acknowledgements are looked at during a flush: they
// come without an event.
const flushEvery = 10 * time.Millisecond

// flush is one request to be told when a loop's sessions have everything.
type flush struct {
	stuck int
	err   error
	done  chan struct{}
}

// StuckError says that a flush did not wait for some sessions.
type StuckError struct{ Sessions int }

func (e *StuckError) Error() string {
	return fmt.Sprintf("%d subscribers take nothing and were not waited for", e.Sessions)
}

// Flush blocks until everything appended before the call was taken by the
// other end of every connection, or ctx ends. A session that has taken nothing
// for a second is not waited for; then the error is a *StuckError. What is
// appended while it waits is waited for as well.
func (f *Fanout) Flush(ctx context.Context) error {
	stuck := 0
	for _, l := range f.loops {
		fl := &flush{done: make(chan struct{})}
		if !l.post(func() { l.flushes = append(l.flushes, fl) }) {
			return ErrClosed
		}
		select {
		case <-fl.done:
			if fl.err != nil {
				return fl.err
			}
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
	stuck, wait := 0, false
	for _, s := range l.sessions {
		left := s.owed() || len(s.out) > 0
		if n := 0; !left && s.active {
			if n = unacknowledged(s.fd); n > 0 && n != s.queued {
				s.moved = l.now
			}
			s.queued, left = n, n > 0
		}
		switch {
		case !left:
		case l.now.Sub(s.moved) < stuckTime:
			wait = true
		default:
			stuck++
		}
	}
	if !wait {
		l.endFlushes(stuck, nil)
	}
}

func (l *loop) endFlushes(stuck int, err error) {
	for _, f := range l.flushes {
		f.stuck, f.err = stuck, err
		close(f.done)
	}
	l.flushes = nil
}
