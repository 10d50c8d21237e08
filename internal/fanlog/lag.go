package fanlog

import "time"

// Lag is how far a session is behind.
type Lag struct {
	// Behind: events wait for it, or it is to be told that it lost some.
	Behind bool
	// Slow: it holds up nobody any more (throttle.go).
	Slow bool
	// Lost: it fell out of retention, and takes nothing, so that it can't be
	// told.
	Lost bool
	// Bytes is how much of the log lies before it; of one that fell out of
	// retention, what is retained. Not all of it need be for this session.
	Bytes int64
	// Since is when it last took something, or was given the first of its
	// backlog.
	Since time.Time
}

// Lag returns it, as of the loop's last look at the log.
func (s *Session) Lag() Lag {
	lag := Lag{Behind: s.owed(), Slow: s.slow, Lost: s.lost, Since: s.moved}
	if !lag.Behind {
		return lag
	}
	w := s.loop.window
	for i := range w.views {
		v := &w.views[i]
		size := int64(v.start(w.end(v)))
		switch {
		case v.seg.seq > s.at.seg: // all of it, when it is lost
			lag.Bytes += size
		case v.seg.seq == s.at.seg:
			lag.Bytes += size - int64(v.start(s.at.entry)+s.at.skip)
		}
	}
	lag.Bytes = max(lag.Bytes, 0) // it may stand at what the loop has not seen yet
	return lag
}
