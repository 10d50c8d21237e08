package driver

import (
	"context"
	"io"
	"net"
)

// The interfaces in this file are behaviour that only some drivers have. The
// core asserts for them in one place each.

// Connector is a Subscriber whose publishers are reached one by one, by URI.
type Connector interface {
	// Connect adds a publisher. It does not wait: the driver connects in the
	// background, and again whenever the connection is lost, until Disconnect.
	// A URI that can't be understood is an error; one that is connected
	// already is none.
	Connect(uri string) error
	// Disconnect removes a publisher. What was received from it and not yet
	// handed out may be dropped.
	Disconnect(uri string) error
}

// Awaiter is a Subscriber that knows when it is complete.
type Awaiter interface {
	// Await blocks until every publisher it was told to connect to is
	// connected and has confirmed every topic held, or ctx ends.
	Await(ctx context.Context) error
}

// Drainer is a Subscriber that binds, and can stop taking more without losing
// what it was sent.
type Drainer interface {
	// Drain refuses new peers and tells those that are connected to stop.
	// Receive goes on to return what they had sent, then io.EOF. It does not
	// block.
	Drain()
}

// Bound is a half that is bound to an address.
type Bound interface {
	// Addr is where it can be reached.
	Addr() net.Addr
}

// Saver is a Publisher that can hand over to the next one of its driver, at a
// planned restart: see Config.Restore.
type Saver interface {
	// Save writes what is retained. It is called after Close.
	Save(w io.Writer) error
}

// Starter is a Driver that can run its broker in this process: for a demo, for
// a test, and for one machine.
type Starter interface {
	// Serves returns the Group of the aliases that connect to such a server.
	Serves() string
	// StartServer runs a server on the loopback, on a free port, which may keep
	// files in dir, until stop is called. servers are what Config.Servers is to
	// say.
	StartServer(ctx context.Context, dir string) (servers []string, stop func() error, err error)
}

// Statuser is a half that can tell what it is doing.
type Statuser interface {
	// Status returns counters and states as of now. It does not block for
	// long, may be called at any time, and sees a closed half too.
	Status() Status
}

// Status is what a half knows of itself. Counters only rise.
type Status struct {
	// Peers are connected and introduced now.
	Peers int
	// Messages were accepted (publisher) or handed out (subscriber); Bytes are
	// their payloads.
	Messages, Bytes uint64
	// Deliveries were written to peers, counted per peer; 0 where the driver
	// does not count them.
	Deliveries uint64
	// Refused are peers that were turned away, for whatever they did or
	// lacked; Malformed are messages that were not understood and dropped.
	Refused, Malformed uint64
	// Lost counts the times that a peer fell so far behind that it lost
	// events.
	Lost uint64
	// Slow are peers that, now, don't take what they are sent and hold up
	// nobody any more.
	Slow int
	// Retained is how many bytes of events are kept for peers that are behind,
	// or wait in a queue.
	Retained int64
}
