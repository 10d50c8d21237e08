package zmq

import "time"

const (
	// lastWords is for how long before the end of a connection what comes on it
	// after a silence is no sign that its node was there: it may have been sent
	// long before, and lost on the way again and again, until the link was up.
	lastWords = 2 * time.Second
	// shortPause is the shortest pause between inputs that says how often a peer
	// speaks: what comes sooner was sent at once.
	shortPause = 50 * time.Millisecond
	// leastSilence is for how long a peer may be quiet, however often it speaks.
	leastSilence = 500 * time.Millisecond
)

// inputs is when something came from a peer, which says whether its node was there
// at a time.
type inputs struct {
	last  time.Time
	usual time.Duration // the longest pause of late
	most  time.Duration // it is asked when it is quiet, so that it never is for so long
	again time.Time     // when the last silence ended
	quiet time.Time     // when it began
}

// newInputs is for a peer that came now and is asked for a sign of life when it was
// quiet for a time.
func newInputs(now time.Time, asked time.Duration) inputs {
	return inputs{last: now, usual: asked, most: 2 * asked}
}

// note notes that something came.
func (in *inputs) note(now time.Time) {
	pause := now.Sub(in.last)
	if pause >= in.silence() {
		in.again, in.quiet = now, in.last
	}
	if pause >= shortPause {
		in.usual = max(pause, in.usual-in.usual/8)
	}
	in.last = now
}

// silence is for how long a peer is not quiet as long as its node is there.
func (in *inputs) silence() time.Duration { return min(max(2*in.usual, leastSilence), in.most) }

// there is until when the node was there, as far as is known when its connection
// ends: for a silence after it was heard, unless something that was sent to it was
// not delivered. Then its link was bad, perhaps in that direction only, and what it
// said last may have come late: it may have been gone for a while.
func (in *inputs) there(end time.Time, undelivered bool) time.Time {
	heard := in.last
	if end.Sub(in.again) <= lastWords {
		heard = in.quiet
	}
	if !undelivered {
		return heard.Add(in.silence())
	}
	if late := end.Add(-confused); late.Before(heard) {
		return late
	}
	return heard
}
