package driver

import "strings"

// Roles is a set of the two parts that a driver may play on a hop.
type Roles uint8

// The roles.
const (
	Publishes Roles = 1 << iota
	Subscribes
)

// String returns "publisher", "subscriber", "publisher+subscriber" or "-".
func (r Roles) String() string {
	var names []string
	if r&Publishes != 0 {
		names = append(names, "publisher")
	}
	if r&Subscribes != 0 {
		names = append(names, "subscriber")
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, "+")
}

// MarshalText implements encoding.TextMarshaler.
func (r Roles) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Capabilities are the facts about a driver. What a driver can't do, the core
// makes up for or says so.
type Capabilities struct {
	// Name is the driver's own name, for people: "zmq network".
	Name string `json:"name"`
	// Binds says which role binds an address that the other connects to; 0:
	// neither, as with a broker.
	Binds Roles `json:"binds"`
	// Ordered: messages of one publisher reach a subscriber in the order in
	// which they were published.
	Ordered bool `json:"ordered"`
	// OrderedByTopic: those of one topic do, which is all that the core needs.
	// Ordered implies it.
	OrderedByTopic bool `json:"ordered_by_topic"`
	// Lossy: messages may be dropped for a subscriber without a notice: it is
	// slow, a queue is full, a connection was made again.
	Lossy bool `json:"lossy"`
	// Persistent: messages outlive the publisher.
	Persistent bool `json:"persistent"`
	// Resumes: a subscriber that reconnects gets what it missed, within limits.
	Resumes bool `json:"resumes"`
	// Filters: what reaches the subscriber was already selected by topic at
	// the sender. Without it Subscribe means nothing: a worker's messages all
	// go to its service.
	Filters bool `json:"filters"`
	// Confirms: Subscribe returns when the subscription is in force.
	Confirms bool `json:"confirms"`
	// Identifies: Message.Source names the publisher.
	Identifies bool `json:"identifies"`
	// Liveness: the loss of a peer is noticed by the driver itself.
	Liveness bool `json:"liveness"`
	// MaxPayload is the largest payload in bytes that the mechanism can carry
	// at all; 0: no limit of its own.
	MaxPayload int `json:"max_payload"`
}

// KeepsTopics says whether messages of one publisher on one topic keep their
// order.
func (c Capabilities) KeepsTopics() bool { return c.Ordered || c.OrderedByTopic }
