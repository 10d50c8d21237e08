package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Command is a line to a child.
type Command struct {
	// Do says what: "worker" and "node" come first, and say what the child is;
	// then "start", "stop", "report" and "list".
	Do     string     `json:"do"`
	Worker *WorkerJob `json:"worker,omitempty"`
	Node   *NodeJob   `json:"node,omitempty"`
}

// The commands.
const (
	doWorker = "worker"
	doNode   = "node"
	doStart  = "start"  // a worker begins to publish
	doStop   = "stop"   // a worker hands over what it has, reports, and ends
	doReport = "report" // a node tells its digests
	doList   = "list"   // a node tells its objects
)

// Message is a line from a child.
type Message struct {
	// Kind says what: "ready", "stats", "report" or "list".
	Kind string `json:"kind"`
	// Stats come with every message of a worker or node.
	Stats Stats `json:"stats"`
	// Network is where a service that is ready can be reached, as a URI.
	Network string `json:"network,omitempty"`
	// Digests are a node's report, by topic.
	Digests map[string]Digest `json:"digests,omitempty"`
	// Objects are what a node holds, or what a worker published.
	Objects []Object `json:"objects,omitempty"`
}

// The kinds of messages.
const (
	KindReady  = "ready"
	KindStats  = "stats"
	kindReport = "report"
	kindList   = "list"
)

// Stats are a process's counters. They only rise, but for Peers, Waiting and
// the quantiles.
type Stats struct {
	// Events were published by a worker, relayed by the service, or received
	// by a node.
	Events uint64 `json:"events"`
	// Peers are connected now.
	Peers int `json:"peers,omitempty"`
	// Objects are held now.
	Objects int `json:"objects,omitempty"`
	// Resyncs are what a node was told of, but for those that only say that a
	// subscription or a publisher is new to it.
	Resyncs uint64 `json:"resyncs,omitempty"`
	// Stale events arrived after a later version of their object.
	Stale uint64 `json:"stale,omitempty"`
	// Late is how much a worker is behind the pace.
	Late time.Duration `json:"late,omitempty"`
	// Lag from a worker's publishing to a node's handler since the last
	// message: median, 99th percentile and greatest.
	Lag Quantiles `json:"lag"`
	// Total is the same since the start.
	Total Histogram `json:"total,omitzero"`
}

// sender writes messages, from several goroutines.
type sender struct {
	mu sync.Mutex
	e  *json.Encoder
}

func newSender(w io.Writer) *sender { return &sender{e: json.NewEncoder(w)} }

func (s *sender) send(m Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.e.Encode(m); err != nil {
		return fmt.Errorf("tell the parent: %w", err)
	}
	return nil
}

// receiveCommands decodes commands until in ends, and then ends the context
// that it returns, so that an orphan does not go on with what it is doing. It
// can't be stopped, because a read can't: it ends with the parent, or with this
// process.
func receiveCommands(parent context.Context, in io.Reader) (context.Context, <-chan Command) {
	ctx, cancel := context.WithCancelCause(parent)
	commands := make(chan Command)
	go func() {
		defer cancel(ErrOrphan)
		d := json.NewDecoder(in)
		for {
			var c Command
			if d.Decode(&c) != nil {
				return
			}
			select {
			case commands <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, commands
}

// ErrOrphan ends a child whose parent has ended.
var ErrOrphan = errors.New("the demo has ended")

// firstCommand returns the command that says what a child is.
func firstCommand(ctx context.Context, commands <-chan Command, do string) (Command, error) {
	select {
	case c := <-commands:
		if c.Do == do {
			return c, nil
		}
	case <-ctx.Done():
	}
	return Command{}, fmt.Errorf("a %s is started by the demo, not by hand", do)
}

// orphaned returns err, or ErrOrphan if that is what it comes from.
func orphaned(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}
