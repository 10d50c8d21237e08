package zmq

import "time"

// lastWords is for how long before the end of a connection what comes on it is no
// sign that its node was there: it may have been sent long before, and lost on the
// way again and again, until the link was up.
const lastWords = 2 * time.Second

// inputs is when something came from a peer: the times that lie at least half of
// lastWords apart, the latest first.
type inputs [4]time.Time

// note notes that something came.
func (in *inputs) note(now time.Time) {
	if now.Sub(in[0]) < lastWords/2 {
		return
	}
	copy(in[1:], in[:])
	in[0] = now
}

// before returns a time at or before t when something came: the first of all, or one
// that is not much older than the last.
func (in *inputs) before(t time.Time) time.Time {
	var last time.Time
	for _, at := range in {
		if at.IsZero() {
			break
		}
		if last = at; !at.After(t) {
			break
		}
	}
	return last
}
