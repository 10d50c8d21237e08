package wyvern

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// calls is how Unsubscribe waits for the handler. Each side first says what it
// does and then looks at the other: the loop sets running and reads dropped;
// Unsubscribe sets dropped and reads running. So a dropped topic is seen by one
// of them, and an event costs no lock.
type calls struct {
	running atomic.Pointer[tracker.Topic] // of the call that runs, or is about to
	waiting atomic.Int32

	mu    sync.Mutex
	ended chan struct{} // closed when a call ends; nil: nobody waits
}

// begin is called by the loop before a call.
func (c *calls) begin(t *tracker.Topic) { c.running.Store(t) }

// end is called by the loop after a call.
func (c *calls) end() {
	c.running.Store(nil)
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		close(c.ended)
		c.ended = nil
	}
}

// wait blocks while a call is running for a topic of that name that was dropped,
// by whomever, or until ctx ends.
func (c *calls) wait(ctx context.Context, name string) error {
	c.waiting.Add(1)
	defer c.waiting.Add(-1)
	for {
		c.mu.Lock()
		if c.ended == nil {
			c.ended = make(chan struct{})
		}
		ended := c.ended
		c.mu.Unlock()
		if t := c.running.Load(); t == nil || t.Name != name || !t.Dropped() {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
