package driver

import "context"

// Driver makes the two halves of one mechanism on one hop.
//
// Both Open methods fail at once on what can be known at once: an option that
// makes no sense, a port in use, a path that can't be bound. They do not wait
// for peers that are not there yet. ctx bounds opening only.
type Driver interface {
	// Capabilities returns the facts that the core, the conformance suite and
	// `wyvern drivers` read. It is constant and cheap.
	Capabilities() Capabilities

	// OpenPublisher returns the sending half.
	OpenPublisher(ctx context.Context, cfg Config) (Publisher, error)

	// OpenSubscriber returns the receiving half.
	OpenSubscriber(ctx context.Context, cfg Config) (Subscriber, error)
}

// Publisher sends.
type Publisher interface {
	// Publish accepts msgs in order and returns how many it accepted. It
	// blocks while the driver's bounded queue is full, until ctx ends: n <
	// len(msgs) exactly when err != nil. Accepted means that the driver will
	// deliver it to whoever holds its topic and is connected, without further
	// help. The others reach nobody, unless the error is an ErrUnsure: then some
	// of them may. A driver that has a transient failure tries the same
	// messages again until ctx ends: who gets one twice knows by its number.
	// The caller owns msgs and all bytes again when Publish returns: the
	// driver copies what it keeps. Not called concurrently with itself.
	Publish(ctx context.Context, msgs []Message) (n int, err error)

	// Flush blocks until everything accepted so far was handed to every peer
	// that takes it, or ctx ends. Peers that are stuck or absent are not
	// waited for longer than the driver says in its documentation. A flush
	// that leaves something behind says so in its error.
	Flush(ctx context.Context) error

	// Close stops at once, releases everything and waits for its goroutines.
	// Idempotent; wakes a blocked Publish or Flush, which return ErrClosed.
	Close() error
}

// Subscriber receives.
type Subscriber interface {
	// Receive blocks until there is at least one message, fills dst from its
	// start and returns how many. The bytes of the messages belong to the
	// driver and stay valid until the next call of Receive or Close. It
	// returns ctx.Err() when ctx ends, io.EOF after Drain when nothing is
	// left, ErrClosed after Close. Any other error is about one peer or one
	// message, was survived, and is not returned here but logged and counted.
	Receive(ctx context.Context, dst []Message) (n int, err error)

	// Subscribe adds topics, exact names. Where Capabilities.Confirms it
	// blocks until every publisher that is connected now has confirmed, or ctx
	// ends; what is published from then on is received. A publisher that
	// connects later is told the topics as part of connecting. Adding a topic
	// that is held is no error.
	Subscribe(ctx context.Context, topics ...string) error

	// Unsubscribe removes topics. It does not wait: what is on its way may
	// still be received; the core filters it.
	Unsubscribe(ctx context.Context, topics ...string) error

	// Close stops at once, releases everything and waits for its goroutines.
	// Idempotent; wakes a blocked Receive, which returns ErrClosed.
	Close() error
}
