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
//   - when appends had to wait for stallTime in all, for most of it with this
//     session behind, while at least as many others were quick: these take as
//     much as it does or more, and needed less than one part in fairShare of
//     that time for it. Rates alone say nothing: an append that waits slows all
//     down to the rate of the slowest, and then to nothing.
//
// So sessions that are all as slow as one another keep their claim, and so does
// one that is only somewhat slower than the rest, or that alone gets nearly all
// that is published.
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
	// leastTaken is what a session must have taken lately for its quickness to
	// mean something.
	leastTaken = 4 << 10
	// restTime without an append that waits begins the account anew.
	restTime = time.Second
)

// account is what one loop knows about the waiting of appends.
type account struct {
	waiting bool          // an append waited when accounts were last settled
	settled time.Time     // when that was
	waited  time.Duration // since the last judgement
	public  bool          // what follows is of this account

	// Published for the other loops, the first time roughly half-way.
	quick     atomic.Int64  // sessions that keep up easily
	quickTook atomic.Uint64 // bytes that they took lately
	late      atomic.Int64  // sessions that were behind most of the time
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
			a.quick.Store(0)
			a.quickTook.Store(0)
			a.late.Store(0)
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
	var quick, late int64
	var quickTook uint64
	for _, other := range l.fan.loops {
		quick += other.account.quick.Load()
		quickTook += other.account.quickTook.Load()
		late += other.account.late.Load()
	}
	for _, s := range l.busy {
		if quick < late || quick == 0 || s.fresh || s.at.seg >= half || !a.isLate(s) {
			continue
		}
		if s.took() <= quickTook/uint64(quick) {
			s.slow, s.since = true, s.sent
		}
	}
	l.beginAccount()
}

// isLate says whether a session with a claim was behind most of the time.
func (a *account) isLate(s *Session) bool { return s.claims() && s.lag >= a.waited/2 }

// took returns how many bytes the session took lately: since the account
// began, and less and less of what was before.
func (s *Session) took() uint64 { return s.recent + s.sent - s.gauge }

// publish counts the loop's sessions for the others.
func (l *loop) publish() {
	a := &l.account
	var quick, late int64
	var quickTook uint64
	for _, s := range l.sessions {
		switch {
		case a.isLate(s):
			late++
		case s.active && !s.lost && !s.slow && s.lag < a.waited/fairShare && s.took() >= leastTaken:
			quick++
			quickTook += s.took()
		}
	}
	a.quick.Store(quick)
	a.quickTook.Store(quickTook)
	a.late.Store(late)
}

// beginAccount forgets what was. The figures that were published stay for
// loops that judge a little later.
func (l *loop) beginAccount() {
	l.account.waited, l.account.public = 0, false
	for _, s := range l.sessions {
		s.recent = s.took() / 2
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
