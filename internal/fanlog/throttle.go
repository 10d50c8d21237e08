package fanlog

import (
	"context"
	"time"
)

// The log takes as much as it is given, and what is not read in time is lost
// to the reader. That must not happen to those who read as fast as they can
// just because the publisher is faster than the machine: so an append waits
// while a session that keeps up with the others is more than half of the
// retention behind.
//
// Nor may one peer that is stopped, or reads a byte a second, hold up all
// others: a session that takes nothing for a while, or much less than the
// average of those who are behind like it, loses its claim until it has caught
// up by its own effort. So the worst that it can do is one pause of stallTime,
// under a load that fills half of the retention within that time.
const (
	judgeEvery = 50 * time.Millisecond
	judgeSpan  = 250 * time.Millisecond
	stallTime  = 500 * time.Millisecond
	// fairShare is the part of the average progress that keeps the claim.
	fairShare = 8
)

// settleAccounts ends a round: it judges who is slow, publishes how far the
// sessions with a claim are, and answers flushes.
func (l *loop) settleAccounts(more bool) {
	waiting := l.fan.waiting.Load()
	if waiting {
		l.judge()
	} else {
		l.judged = l.now
	}
	floor := l.window.head.seg
	for _, s := range l.busy {
		if s.active && !s.caught && !s.slow {
			floor = min(floor, s.at.seg)
		}
	}
	l.floor.Store(floor)
	if waiting {
		select {
		case l.fan.progress <- struct{}{}:
		default:
		}
	}
	if len(l.flushes) > 0 && !more {
		l.answerFlushes()
	}
}

// judge takes their claim from sessions that don't keep up.
func (l *loop) judge() {
	if l.now.Sub(l.judged) < judgeSpan {
		return
	}
	l.judged = l.now
	var total uint64
	behind := 0
	for _, s := range l.busy {
		if s.active && !s.caught && !s.slow {
			total += s.sent - s.gauge
			behind++
		}
	}
	for _, s := range l.busy {
		if !s.active || s.caught || s.slow {
			continue
		}
		share := (s.sent - s.gauge) * uint64(behind) * fairShare
		if l.now.Sub(s.moved) > stallTime || total > 0 && s.sent != s.gauge && share < total {
			s.slow = true
		}
		s.gauge = s.sent
	}
}

// admit blocks while a session with a claim is too far behind.
func (f *Fanout) admit(ctx context.Context) error {
	if !f.crowded() {
		return nil
	}
	f.waiting.Store(true)
	defer f.waiting.Store(false)
	for f.crowded() {
		for _, l := range f.loops {
			l.ring()
		}
		select {
		case <-f.progress:
		case <-ctx.Done():
			return ctx.Err()
		case <-f.done:
			return ErrClosed
		}
	}
	return nil
}

// crowded says whether a session with a claim, or a loop, is still reading the
// older half of what is retained.
func (f *Fanout) crowded() bool {
	f.log.mu.Lock()
	half := f.log.half
	f.log.mu.Unlock()
	for _, l := range f.loops {
		if l.floor.Load() < half {
			return true
		}
	}
	return false
}
