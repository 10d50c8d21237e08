package wyvern

import (
	"context"
	"io"
	"log/slog"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// defaultTopics is PublisherOptions.MaxTopics.
const defaultTopics = 1 << 18

// PublisherOptions says how to open a [Publisher].
type PublisherOptions struct {
	// Driver sends the events. Default: what Alias means on the Hop.
	Driver driver.Driver
	// Alias is a name under which a driver registered itself. Used only
	// without a Driver.
	Alias string
	// Hop is the leg on which the driver works; default driver.Network.
	Hop driver.Hop

	// ID is the publisher's stable identity; default: Config.ID, else a random
	// one that nobody has had before. That is right for whoever may come and
	// go, as a worker on a broker: nobody needs to resync because it came.
	ID string
	// Epoch tells this incarnation of the publisher from others of the same
	// ID; default: random.
	Epoch uint64

	// Restore, if set, is what [Publisher.Save] of the last incarnation wrote:
	// the publisher goes on under its epoch, which must have been of the same
	// ID. Read while opening only.
	Restore io.Reader

	// MaxTopics is how many topics the publisher remembers, see [Publisher];
	// default 262144, and at least 2048.
	MaxTopics int

	// Config is handed to the driver: where to bind or connect, and limits.
	// Its ID, Epoch, Restore and Log are replaced.
	Config driver.Config

	// Log receives what happens; default: Config.Log, else discarded.
	Log *slog.Logger
}

// SubscriberOptions says how to open a [Subscriber].
type SubscriberOptions struct {
	// Driver receives the events. Default: what Alias means on the Hop.
	Driver driver.Driver
	// Alias is a name under which a driver registered itself. Used only
	// without a Driver.
	Alias string
	// Hop is the leg on which the driver works; default driver.Network.
	Hop driver.Hop

	// Handler is called with each event, one call at a time, and must be set.
	// Its context ends when the subscriber is closed. An error or a panic is
	// logged and counted, and the handler called again with a `sync` event for
	// that topic; the stream goes on.
	Handler func(context.Context, Event) error

	// Topics to hold from the start; more by Subscribe.
	Topics []string
	// Connect lists the URIs of publishers, for drivers whose publishers are
	// reached one by one; more by Connect.
	Connect []string

	// Config is handed to the driver: where to bind or connect, and limits.
	// With AllTopics the handler gets the events of every topic. Its Log is
	// replaced.
	Config driver.Config

	// Log receives what happens; default: Config.Log, else discarded.
	Log *slog.Logger
}

// RelayOptions says how to open a [Relay].
type RelayOptions struct {
	// Driver is where events come from. Default: what Alias means on the Hop.
	Driver driver.Driver
	// Alias is a name under which a driver registered itself. Used only
	// without a Driver.
	Alias string
	// Hop is the leg on which that driver works; default driver.Network. A
	// publisher service says driver.IPC.
	Hop driver.Hop

	// Config is handed to the driver. AllTopics is forced; its Log is
	// replaced.
	Config driver.Config

	// Publisher is where events go, and must be set. It numbers them. The
	// relay doesn't close it.
	Publisher *Publisher

	// Log receives what happens; default: Config.Log, else discarded.
	Log *slog.Logger
}

// chooseLog returns the first logger there is.
func chooseLog(own, config *slog.Logger) *slog.Logger {
	switch {
	case own != nil:
		return own
	case config != nil:
		return config
	}
	return slog.New(slog.DiscardHandler)
}
