package zmq

import "time"

const (
	// requestRate is how many requests a second are taken from one subscriber,
	// once it has made as many at a time as it may hold subscriptions. That is
	// room for a node that connects with all of its topics, and for one that
	// changes them as fast as a person can't; beyond that the peer waits.
	requestRate = 10_000
	// otherPrice is how many new subscriptions a request costs that is none: a
	// cancel, a PING, a subscription that is held already. A node connects with
	// many topics, but drops few of them and asks little else.
	otherPrice = 10
	// holdsPerRequest is how many topics a request may be matched to for the
	// price of one: a prefix concerns all topics that begin so.
	holdsPerRequest = 4
	// requestTurn is after how many requests others have their turn, and it is
	// asked whether the peer has to wait.
	requestTurn = 1000
)

// requests is a token bucket, and a turn, for what one subscriber asks.
type requests struct {
	paid time.Time // what was asked for so far is worth the time until then
	turn int
}

// charge accounts for a request, which is for a new subscription or not, and was
// matched to so many topics. It says whether to stop, and until when, which may
// have passed; burst is how many subscriptions may come at a time.
func (r *requests) charge(now time.Time, novel bool, holds uint64, burst int) (until time.Time, stop bool) {
	const price = time.Second / requestRate
	cost := 1 + int(min(holds, 1<<30))/holdsPerRequest
	if !novel {
		cost += otherPrice - 1
	}
	if r.paid.Before(now) {
		r.paid = now
	}
	r.paid = r.paid.Add(time.Duration(cost) * price)
	r.turn += cost
	if r.turn < requestTurn {
		return now, false
	}
	r.turn = 0
	return r.paid.Add(-time.Duration(burst) * price), true
}
