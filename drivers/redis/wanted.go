package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/inbox"
)

// topic is one that is held.
type topic struct {
	name    string
	inForce bool
	waits   []*waiting // calls of Subscribe

	asked   *session  // Pub/Sub: by which it was asked for
	refused bool      // by the server
	again   time.Time // when to ask again
	cursor  *cursor   // streams: how far it was read
}

// waiting is a call of Subscribe that waits for its topics.
type waiting struct {
	left int
	err  error // the first refusal
	done chan struct{}
}

// wanted is the topics that are held. Its methods whose names end in Locked are
// for the holder of mu.
type wanted struct {
	mu     sync.Mutex
	topics map[string]*topic
	inbox  *inbox.Inbox
	wake   chan struct{} // one, when there is something to do
}

func newWanted(b *inbox.Inbox) *wanted {
	return &wanted{topics: make(map[string]*topic), inbox: b, wake: make(chan struct{}, 1)}
}

// subscribe adds topics and blocks until all are in force or one was refused,
// or ctx ends. added is called for each new one, under the lock.
func (w *wanted) subscribe(ctx, closed context.Context, names []string, added func(*topic)) error {
	if err := ctx.Err(); err != nil && closed.Err() == nil {
		return err
	}
	call := &waiting{done: make(chan struct{})}
	w.mu.Lock()
	if closed.Err() != nil { // Close ends it under the lock
		w.mu.Unlock()
		return driver.ErrClosed
	}
	for _, name := range names {
		t := w.topics[name]
		if t == nil {
			t = &topic{name: name}
			w.topics[name] = t
			added(t)
		}
		if !t.inForce {
			t.again = time.Time{}
			t.waits = append(t.waits, call)
			call.left++
		}
	}
	some := call.left > 0
	w.mu.Unlock()
	if !some {
		return nil
	}
	w.poke()
	select {
	case <-call.done:
		return call.err
	case <-ctx.Done():
		return w.giveUp(call, ctx.Err())
	case <-closed.Done():
		return driver.ErrClosed
	}
}

// giveUp ends a call, unless it has just succeeded.
func (w *wanted) giveUp(call *waiting, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-call.done:
		return call.err
	default:
	}
	for _, t := range w.topics {
		for i, c := range t.waits {
			if c == call {
				t.waits = append(t.waits[:i], t.waits[i+1:]...)
				break
			}
		}
	}
	return err
}

// poke says that there is something to do.
func (w *wanted) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// dropLocked removes a topic. Who waits for it is told that all is well: that is
// what somebody wanted who is not waiting any more.
func (w *wanted) dropLocked(name string) *topic {
	t := w.topics[name]
	if t == nil {
		return nil
	}
	delete(w.topics, name)
	t.answerLocked(nil)
	return t
}

// confirmLocked says that a topic is in force from here on. Where nobody waits
// for that, the application is told at this place of the stream.
func (w *wanted) confirmLocked(t *topic, quiet bool, from *driver.Source) {
	if t.inForce || w.topics[t.name] != t {
		return
	}
	t.inForce, t.refused = true, false
	if !t.answerLocked(nil) && !quiet {
		w.inbox.Tell(driver.Confirmed, t.name, from)
	}
}

// refuseLocked says that the server won't let us have a topic. If nobody waits for
// it, it is held, and nothing of it comes: the application is told so, again and
// again, instead of being left in its belief.
func (w *wanted) refuseLocked(t *topic, err error, again time.Duration, from *driver.Source) (told bool) {
	t.refused, t.again, t.inForce = true, time.Now().Add(again), false
	told = t.answerLocked(hinted(fmt.Errorf("topic %q: %w", t.name, err)))
	if !told && w.topics[t.name] == t {
		w.inbox.Tell(driver.Gap, t.name, from)
	}
	return told
}

// answerLocked tells whoever waits for the topic, and whether anybody did.
func (t *topic) answerLocked(err error) bool {
	waits := t.waits
	t.waits = nil
	for _, call := range waits {
		call.left--
		if call.err == nil {
			call.err = err
		}
		if call.left == 0 {
			close(call.done)
		}
	}
	return len(waits) > 0
}
