package inbox

import (
	"context"
	"slices"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// waiter waits for room.
type waiter struct {
	m        driver.Message
	brings   bool // m; else it wants to know only
	cost     int64
	admitted bool
	turn     chan struct{} // a value when it was admitted
}

// admitLocked lets those in for whom there is room.
func (b *Inbox) admitLocked() {
	for len(b.waiters) > 0 && b.fitsLocked(b.waiters[0].cost) {
		w := b.waiters[0]
		b.waiters = slices.Delete(b.waiters, 0, 1)
		if w.brings {
			b.addLocked(&w.m)
		}
		w.admitted = true
		w.turn <- struct{}{} // has room
	}
}

func (b *Inbox) waiterLocked(cost int64) *waiter {
	w := b.spare
	if b.spare = nil; w == nil {
		w = &waiter{turn: make(chan struct{}, 1)}
	}
	w.cost = cost
	b.waiters = append(b.waiters, w)
	return w
}

// waitLocked blocks until w was admitted. It gives the lock up meanwhile.
func (b *Inbox) waitLocked(ctx context.Context, w *waiter) error {
	b.mu.Unlock()
	select {
	case <-w.turn:
	case <-ctx.Done():
	case <-b.done:
	}
	b.mu.Lock()
	switch {
	case w.admitted:
	case b.closed:
		return driver.ErrClosed
	default:
		b.waiters = slices.DeleteFunc(b.waiters, func(o *waiter) bool { return o == w })
		b.admitLocked() // it may have stood before those who fit
		return ctx.Err()
	}
	select {
	case <-w.turn:
	default:
	}
	*w = waiter{turn: w.turn}
	b.spare = w
	return nil
}
