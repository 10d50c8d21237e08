package redis

import (
	"context"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// inboxBytes is how much waits for the application before no more is read. A
// message that is larger goes into an empty inbox.
const inboxBytes = 1 << 20

// overhead is what a message costs besides its payload, in bytes.
const overhead = 96

// inbox is where messages wait for Receive. Any goroutine may use it.
type inbox struct {
	mu      sync.Mutex
	queue   []driver.Message
	next    int           // of the queue: handed out before it
	size    int           // in bytes
	arrived chan struct{} // one, when there is something
	taken   chan struct{} // closed and replaced when there is room again

	messages, bytes uint64 // handed out
}

func newInbox() *inbox {
	return &inbox{arrived: make(chan struct{}, 1), taken: make(chan struct{})}
}

// put adds messages. It blocks while the inbox is full, until ctx ends, and
// tells whether it had to.
func (b *inbox) put(ctx context.Context, m driver.Message) (blocked bool, err error) {
	cost := len(m.Topic) + len(m.Payload) + overhead
	for {
		b.mu.Lock()
		if b.size == 0 || b.size+cost <= inboxBytes {
			b.addLocked(m, cost)
			b.mu.Unlock()
			return blocked, nil
		}
		room := b.taken
		b.mu.Unlock()
		blocked = true
		select {
		case <-room:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

// tell adds a notice. It does not block: there are few.
func (b *inbox) tell(n driver.Notice, topic string, from *driver.Source) {
	m := driver.Message{Notice: n, Source: from}
	if topic != "" {
		m.Topic = []byte(topic)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(m, 0)
}

func (b *inbox) addLocked(m driver.Message, cost int) {
	b.queue = append(b.queue, m)
	b.size += cost
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// receive waits until there is something, closed or ctx ends, and takes what
// there is.
func (b *inbox) receive(ctx, closed context.Context, dst []driver.Message) (int, error) {
	for {
		if closed.Err() != nil {
			return 0, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n := b.take(dst); n > 0 || len(dst) == 0 {
			return n, nil
		}
		select {
		case <-b.arrived:
		case <-ctx.Done():
		case <-closed.Done():
		}
	}
}

func (b *inbox) take(dst []driver.Message) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := copy(dst, b.queue[b.next:])
	if n == 0 {
		return 0
	}
	clear(b.queue[b.next : b.next+n])
	b.next += n
	for i := range dst[:n] {
		if dst[i].Notice != driver.NoNotice {
			continue
		}
		b.messages++
		b.bytes += uint64(len(dst[i].Payload))
		b.size -= len(dst[i].Topic) + len(dst[i].Payload) + overhead
	}
	switch {
	case b.next == len(b.queue):
		b.queue, b.next = b.queue[:0], 0
	case b.next >= 1024:
		b.queue = b.queue[:copy(b.queue, b.queue[b.next:])]
		clear(b.queue[len(b.queue):cap(b.queue)])
		b.next = 0
	}
	if b.size < inboxBytes/2 {
		close(b.taken)
		b.taken = make(chan struct{})
	}
	return n
}

// status adds to st what the inbox knows.
func (b *inbox) status(st *driver.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.Messages, st.Bytes, st.Retained = b.messages, b.bytes, int64(b.size)
}
