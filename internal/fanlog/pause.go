package fanlog

import "time"

// readTurn bounds how long a round reads before it writes, and urgentTurn how
// long when there is something to be written. Who was not read is the first in
// the next.
const (
	readTurn   = time.Millisecond
	urgentTurn = readTurn / 8
)

// Pause stops reading from the session until a point in time; when that has
// passed, until the others had their turn. Input that was read already and that
// the handler does not use is given to it again then, even if no more comes. What
// is sent to the session goes on. The peer finds its socket full, and waits.
func (s *Session) Pause(until time.Time) {
	if s.closed {
		return
	}
	s.until, s.leftover = until, true
	if !s.paused {
		s.paused = true
		s.loop.paused = append(s.loop.paused, s)
	}
}

// Paused says whether the session is not read.
func (s *Session) Paused() bool { return s.paused }

// untilPauseEnds returns when that of some session will, or a long time.
func (l *loop) untilPauseEnds() time.Duration {
	first := time.Hour
	for _, s := range l.paused {
		first = min(first, s.until.Sub(l.now))
	}
	return first
}

// Work counts what the session's subscriptions have cost so far, in topics that
// they were matched to, or no longer.
func (s *Session) Work() uint64 { return s.work }

// unpause makes sessions readable whose pause is over.
func (l *loop) unpause() {
	kept := l.paused[:0]
	for _, s := range l.paused {
		switch {
		case s.closed:
		case l.now.Before(s.until):
			kept = append(kept, s)
		default:
			s.paused = false
			s.readable = true // it may be, and an edge may have been missed
			l.readable = append(l.readable, s)
		}
	}
	clear(l.paused[len(kept):])
	l.paused = kept
}

// readAll reads from those who may have sent something: in turns, and no longer
// than turnToRead.
func (l *loop) readAll() {
	if len(l.paused) > 0 {
		l.unpause()
	}
	list := l.readable
	read, kept := 0, 0
	for began := time.Now(); read < len(list) && (read == 0 || time.Since(began) < l.turnToRead()); read++ {
		s := list[read]
		if s.closed || s.paused {
			continue
		}
		if err := s.receive(); err != nil {
			l.close(s, err)
		} else if s.readable && !s.paused {
			list[kept] = s
			kept++
		}
	}
	// Those who were not read come first.
	rest := append(l.turn[:0], list[read:]...)
	rest = append(rest, list[:kept]...)
	clear(list)
	l.readable, l.turn = rest, list
}

// turnToRead is for how long a round may read now.
func (l *loop) turnToRead() time.Duration {
	if l.window.behind() {
		return urgentTurn
	}
	return readTurn
}
