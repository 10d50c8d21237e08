package etcd

import (
	"context"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// messageOverhead is what a message in the inbox costs besides its bytes.
const messageOverhead = 128

// inbox is what was received and not yet handed out. Who puts something in
// waits while it is full.
type inbox struct {
	limit int64

	mu      sync.Mutex
	queue   []driver.Message // from head on
	head    int
	size    int64
	closed  bool
	arrived chan struct{} // a value: there is something, or it was closed
	room    chan struct{} // a value: there is room
}

func newInbox(limit int64) *inbox {
	return &inbox{limit: limit, arrived: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func cost(m *driver.Message) int64 {
	return int64(len(m.Topic) + len(m.Payload) + messageOverhead)
}

// wait blocks until the inbox is below its limit, or ctx ends. Only one
// goroutine may wait.
func (b *inbox) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		ok := b.size < b.limit
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// full says whether somebody would have to wait.
func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size >= b.limit
}

// add puts messages in, past the limit if need be.
func (b *inbox) add(msgs ...driver.Message) {
	if len(msgs) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.head > 0 && b.head >= len(b.queue)/2 {
		n := copy(b.queue, b.queue[b.head:])
		clear(b.queue[n:])
		b.queue, b.head = b.queue[:n], 0
	}
	for i := range msgs {
		b.size += cost(&msgs[i])
	}
	b.queue = append(b.queue, msgs...)
	signal(b.arrived)
}

// take fills dst, and blocks until there is something or ctx ends.
func (b *inbox) take(ctx context.Context, dst []driver.Message) (int, error) {
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return 0, driver.ErrClosed
		}
		if n := copy(dst, b.queue[b.head:]); n > 0 {
			clear(b.queue[b.head : b.head+n])
			b.head += n
			for i := range dst[:n] {
				b.size -= cost(&dst[i])
			}
			if b.head == len(b.queue) {
				b.queue, b.head = b.queue[:0], 0
				if cap(b.queue) > 4096 {
					b.queue = nil // it was a burst
				}
			}
			if b.size < b.limit {
				signal(b.room)
			}
			b.mu.Unlock()
			return n, nil
		}
		b.mu.Unlock()
		select {
		case <-b.arrived:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// bytes returns how much waits.
func (b *inbox) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// close drops what is left and wakes who takes.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.head, b.size = true, nil, 0, 0
	signal(b.arrived)
}

// signal leaves a value in a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
