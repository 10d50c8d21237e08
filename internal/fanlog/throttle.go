package fanlog

import (
	"context"
	"sync/atomic"
	"time"
)

// The log takes as much as it is given, and what is not read in time is lost
// to the reader. That must not happen to those who read as fast as they can
// just because the publisher is faster than the machine: so an append waits
// while a session with a claim to that is more than half of the retention
// behind.
//
// Nor may one peer that is stopped, or reads a byte a second, hold up all
// others. It loses its claim
//
//   - when it takes nothing for stallTime, or
//   - when appends had to wait for stallTime in all, mostly for it, and the
//     others could do much more: of the bytes that they took meanwhile, less
//     than one in fairShare was taken by those who were behind as well. The
//     rates themselves say nothing: an append that waits slows all down to the
//     rate of the slowest.
//
// It has its claim again when it has caught up and has taken, since it lost
// the claim or fell out of retention, at least regain bytes: by its own effort,
// that is, and not because it was moved to the end of the log. So the worst
// that it can do is a pause of about stallTime for each regain bytes that it
// takes, under a load that fills half of the retention within that time.
const (
	judgeEvery = 50 * time.Millisecond
	stallTime  = 500 * time.Millisecond
	fairShare  = 8
	regain     = segmentSize
	// restTime without an append that waits begins the account anew.
	restTime = time.Second
)

// account is what one loop knows about the waiting of appends.
type account struct {
	waiting bool          // an append waited when accounts were last settled
	settled time.Time     // when that was
	waited  time.Duration // since the last judgement
	public  bool          // took and behind are of this account

	took   atomic.Uint64 // bytes that all sessions took, roughly half-way
	behind atomic.Uint64 // the part of it that was taken while being behind
}

// settleAccounts ends a round: it judges who is slow, publishes how far the
// sessions with a claim are, and answers flushes.
func (l *loop) settleAccounts(more bool) {
	a := &l.account
	waiting := l.fan.waiting.Load()
	var passed time.Duration
	if waiting {
		switch rest := l.now.Sub(a.settled); {
		case a.waiting:
			passed = rest
		case rest > restTime:
			a.took.Store(0)
			a.behind.Store(0)
			l.beginAccount()
		}
		a.settled = l.now
		a.waited += passed
	}
	a.waiting = waiting
	floor := l.window.head.seg
	for _, s := range l.busy {
		if s.claims() {
			s.lag += passed
		}
	}
	if waiting {
		l.judge()
	}
	for _, s := range l.busy {
		if s.claims() {
			floor = min(floor, s.at.seg)
		}
	}
	l.floor.Store(floor)
	if waiting {
		l.fan.progressed()
	}
	if len(l.flushes) > 0 && !more {
		l.answerFlushes()
	}
}

// judge takes their claim from sessions that don't keep up.
func (l *loop) judge() {
	a := &l.account
	half := l.fan.log.newerHalf()
	for _, s := range l.busy {
		if s.claims() && s.at.seg < half && l.now.Sub(s.moved) > stallTime {
			s.slow, s.since = true, s.sent
		}
	}
	if !a.public && a.waited > stallTime/2 {
		a.public = true // for the other loops, before they judge
		l.publish()
	}
	if a.waited < stallTime {
		return
	}
	l.publish()
	var took, behind uint64
	for _, other := range l.fan.loops {
		took += other.account.took.Load()
		behind += other.account.behind.Load()
	}
	for _, s := range l.busy {
		if !s.claims() || s.fresh || s.at.seg >= half || s.lag < a.waited/2 {
			continue
		}
		own := s.sent - s.gauge
		others := took - min(own, took)
		if late := behind - min(a.part(s), behind); late*fairShare < others {
			s.slow, s.since = true, s.sent
		}
	}
	l.beginAccount()
}

// part returns how many of the bytes that a session took count as taken while
// it was behind.
func (a *account) part(s *Session) uint64 {
	if a.waited <= 0 {
		return 0
	}
	return uint64(float64(s.sent-s.gauge) * min(float64(s.lag)/float64(a.waited), 1))
}

// publish adds up what the loop's sessions took.
func (l *loop) publish() {
	var took, behind uint64
	for _, s := range l.sessions {
		took += s.sent - s.gauge
		behind += l.account.part(s)
	}
	l.account.took.Store(took)
	l.account.behind.Store(behind)
}

// beginAccount forgets what was. The figures that were published stay for
// loops that judge a little later.
func (l *loop) beginAccount() {
	l.account.waited, l.account.public = 0, false
	for _, s := range l.sessions {
		s.gauge, s.lag, s.fresh = s.sent, 0, false
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

// progressed makes an append that waits look again.
func (f *Fanout) progressed() {
	select {
	case f.progress <- struct{}{}:
	default:
	}
}

// crowded says whether a session with a claim, or a loop, is still reading the
// older half of what is retained.
func (f *Fanout) crowded() bool {
	half := f.log.newerHalf()
	for _, l := range f.loops {
		if l.floor.Load() < half {
			return true
		}
	}
	return false
}
