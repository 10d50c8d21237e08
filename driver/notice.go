package driver

// Notice is what a driver knows, beyond the numbers in the payloads, of the
// messages of one publisher. It stands among that publisher's messages, at the
// place that it is about.
type Notice uint8

// The notices. What the core does about each is in docs/adr/0006.
const (
	NoNotice Notice = iota
	// Confirmed: the topic's subscription is in force from here on. What was
	// published before was not received. A driver gives it only for
	// subscriptions that came into force later than the call of Subscribe that
	// made them, or Await, could tell.
	Confirmed
	// Behind: messages before this point were missed for good, because this
	// side was too slow or away for too long.
	Behind
	// Restarted: what follows comes from another incarnation of the publisher.
	Restarted
	// Gone: the publisher has given no sign of life for LostAfter. Messages of
	// it may come again later, after another notice or with none missing.
	Gone
	// Gap: messages before this point may be missing, for a reason that is
	// none of these.
	Gap
)

// String returns the notice in words.
func (n Notice) String() string {
	switch n {
	case NoNotice:
		return "none"
	case Confirmed:
		return "confirmed"
	case Behind:
		return "behind"
	case Restarted:
		return "restarted"
	case Gone:
		return "gone"
	case Gap:
		return "gap"
	}
	return "unknown"
}
