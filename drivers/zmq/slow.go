package zmq

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
)

const (
	// slowAfter is how long a subscriber that has lost its claim (package
	// fanlog) may be behind before that is reported: it may only have had a
	// pause.
	slowAfter = time.Second
	// stuckAfter is how long one may take nothing of what waits for it. Where
	// little is published it keeps its claim, and is still stuck.
	stuckAfter = 5 * time.Second
)

// spell is a time during which a subscriber is behind.
type spell struct {
	began time.Time // zero: it isn't
	told  bool      // it is slow, and that was reported
}

// watch reports, once in a spell, that a subscriber is slow: it may be stopped
// for as long as it likes, and would tell nobody.
func (h *peer) watch(lag fanlog.Lag, now time.Time) {
	p := &h.spell
	switch {
	case !lag.Behind:
		h.endSpell()
		return
	case p.began.IsZero():
		p.began = now
		return
	case p.told || !isSlow(lag, now.Sub(p.began), now):
		return
	}
	p.told = true
	h.pub.slow.Add(1)
	h.pub.slowLog.Warn(h.pub.cfg.Log, "subscriber is slow: it does not take what it is sent", "peer", h.address,
		"silent", now.Sub(lag.Since).Round(time.Millisecond), "behind_bytes", lag.Bytes, "behind_for", now.Sub(p.began).Round(time.Millisecond), "lost_events", lag.Lost)
}

// isSlow says whether a subscriber that has been behind for a time is slow.
func isSlow(lag fanlog.Lag, behind time.Duration, now time.Time) bool {
	return lag.Slow && behind >= slowAfter || behind >= stuckAfter && now.Sub(lag.Since) >= stuckAfter
}

func (h *peer) endSpell() {
	if h.spell.told {
		h.pub.slow.Add(-1)
	}
	h.spell = spell{}
}
