package sim

// kind says what happens.
type kind uint8

const (
	kindEvent  kind = iota // arrives at a subscriber
	kindBeacon             // likewise
	kindBeat               // likewise
	kindFilter             // a subscription reaches a publisher of a lossy driver

	// A publisher's, a subscriber's, or the world's own.
	kindPublish
	kindTick
	kindPoll
	kindChurn
	kindFault
	kindWakePub
	kindWakeSub
	kindRise
	kindHeal

	// From subscriber to publisher on a connection.
	kindAccept
	kindResume
	kindSubscribe
	kindUnsubscribe
	kindPing

	// From publisher to subscriber on a connection.
	kindReady
	kindRefuse
	kindFrom
	kindBehind
	kindMark
	kindPong
	kindReset

	// A connection's own.
	kindDial
	kindLate
	kindHeartbeat
	kindFlush
)

var kindNames = [...]string{
	"event", "beacon", "beat", "filter",
	"publish", "tick", "poll", "churn", "fault", "wake publisher", "wake subscriber", "rise", "heal",
	"accept", "resume", "subscribe", "unsubscribe", "ping",
	"ready", "refuse", "from", "behind", "mark", "pong", "reset",
	"dial", "late", "heartbeat", "flush",
}
