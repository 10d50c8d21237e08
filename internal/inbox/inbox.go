package inbox

import (
	"context"
	"sync"
	"unsafe"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// Overhead is what a message costs besides its bytes: its place in the queue,
// and what an allocator rounds two small slices up by.
const Overhead = int64(unsafe.Sizeof(driver.Message{})) + 2*16

// Inbox is where messages wait for Receive.
type Inbox struct {
	limit int64
	done  chan struct{} // closed by Close
	// arrived has a value whenever there is something, and perhaps for once more:
	// then who waits looks in vain, in which time something often comes.
	arrived chan struct{}

	mu      sync.Mutex
	closed  bool
	queue   queue
	next    uint64 // the place of what is put next
	size    int64  // in bytes, of the messages
	notices notices
	waiters []*waiter // for room, in order
	spare   *waiter   // to be used again

	messages, bytes uint64 // handed out
}

// New returns an inbox for limit bytes.
func New(limit int64) *Inbox {
	return &Inbox{limit: limit, done: make(chan struct{}), arrived: make(chan struct{}, 1)}
}

func cost(m *driver.Message) int64 {
	return int64(len(m.Topic)+len(m.Payload)) + Overhead
}

// Put adds a message, whose bytes are the inbox's from then on. It blocks while
// there is no room for it, until ctx ends, and says whether it had to. A notice
// is added at once.
func (b *Inbox) Put(ctx context.Context, m driver.Message) (waited bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := cost(&m)
	switch {
	case b.closed:
		return false, driver.ErrClosed
	case m.Notice != driver.NoNotice, len(b.waiters) == 0 && b.fitsLocked(c):
		b.addLocked(&m)
		return false, nil
	}
	w := b.waiterLocked(c)
	w.m, w.brings = m, true
	return true, b.waitLocked(ctx, w)
}

// Add adds messages and notices, past the limit if need be: what a driver
// receives at once it adds at once, and then it calls Wait. It does not block.
func (b *Inbox) Add(msgs ...driver.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for i := range msgs {
		m := msgs[i]
		b.addLocked(&m)
	}
}

// Tell adds a notice about a topic or, if that is empty, about every one. It does
// not block.
func (b *Inbox) Tell(n driver.Notice, topic string, from *driver.Source) {
	m := driver.Message{Notice: n, Source: from}
	if topic != "" {
		m.Topic = []byte(topic)
	}
	b.Add(m)
}

// Wait blocks until less than the limit is taken, or ctx ends.
func (b *Inbox) Wait(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return driver.ErrClosed
	case len(b.waiters) == 0 && b.fitsLocked(1):
		return nil
	}
	return b.waitLocked(ctx, b.waiterLocked(1))
}

// Full says whether Wait would block.
func (b *Inbox) Full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed && (len(b.waiters) > 0 || !b.fitsLocked(1))
}

// Receive fills dst from its start and returns how many messages it took. It
// blocks until there is one, ctx ends or the inbox is closed.
func (b *Inbox) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if b.closed {
			return 0, driver.ErrClosed
		}
		if n := b.takeLocked(dst); n > 0 || len(dst) == 0 {
			return n, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b.mu.Unlock()
		select {
		case <-b.arrived:
		case <-ctx.Done():
		case <-b.done:
		}
		b.mu.Lock()
	}
}

// Status sets what the inbox knows: what was handed out, and what waits.
func (b *Inbox) Status(st *driver.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.Messages, st.Bytes, st.Retained = b.messages, b.bytes, b.size
}

// Close drops what is left and wakes everybody. Idempotent.
func (b *Inbox) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	b.queue, b.notices, b.size, b.waiters, b.spare = queue{}, notices{}, 0, nil, nil
	close(b.done)
}

func (b *Inbox) fitsLocked(cost int64) bool { return b.size == 0 || b.size+cost <= b.limit }

func (b *Inbox) addLocked(m *driver.Message) {
	if m.Notice == driver.NoNotice {
		b.size += cost(m)
		b.notices.passed(m.Topic)
	} else if !b.notices.add(m, b.next) {
		return
	}
	b.queue.push(m)
	b.next++
	b.signalLocked()
}

// signalLocked wakes one of those who wait for messages, or the next one who
// does.
func (b *Inbox) signalLocked() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

func (b *Inbox) takeLocked(dst []driver.Message) int {
	at := b.next - uint64(b.queue.length)
	n := b.queue.pop(dst)
	if n == 0 {
		return 0
	}
	for i := range dst[:n] {
		m := &dst[i]
		if m.Notice != driver.NoNotice {
			b.notices.taken(m, at+uint64(i))
			continue
		}
		b.messages++
		b.bytes += uint64(len(m.Payload))
		b.size -= cost(m)
	}
	if len(b.waiters) > 0 && (b.size <= b.limit/2 || !b.waiters[0].brings) {
		b.admitLocked()
	}
	if b.queue.length > 0 {
		b.signalLocked() // another one may wait
	}
	return n
}
