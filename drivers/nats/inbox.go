package nats

import (
	"context"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

const (
	// messageCost is what a message that waits costs besides its payload.
	messageCost = 200
	// maxTold is about how many topics a full inbox tells one by one that they
	// missed something.
	maxTold = 1000
)

// inbox is where what was received waits for Receive, bounded by bytes.
type inbox struct {
	limit int64

	mu     sync.Mutex
	queue  []driver.Message
	size   int64
	closed bool
	ready  chan struct{} // one when there may be something
	space  chan struct{} // one when half of it, or more, is free
	status driver.Status
}

func newInbox(limit int64) *inbox {
	return &inbox{limit: limit, ready: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}

func cost(m *driver.Message) int64 { return int64(len(m.Payload)) + messageCost }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put adds a message or a notice; the bytes are the inbox's from then on. If it
// is full, the oldest half goes, and what was missed is told in its place.
func (b *inbox) put(m driver.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.queue = append(b.queue, m)
	if b.size += cost(&m); b.size > b.limit {
		b.dropLocked()
	}
	signal(b.ready)
}

// dropLocked makes room: the oldest messages go until half is free, but for
// notices. One Behind per topic stands for them.
func (b *inbox) dropLocked() {
	var kept []driver.Message
	told := make(map[string]bool)
	i := 0
	for ; i < len(b.queue) && b.size > b.limit/2; i++ {
		m := b.queue[i]
		if b.size -= cost(&m); m.Notice == driver.NoNotice {
			m = driver.Message{Topic: m.Topic, Source: m.Source, Notice: driver.Behind}
		}
		if key := string(m.Topic) + "\x00" + m.Notice.String(); !told[key] {
			told[key] = true
			kept = append(kept, m)
		}
	}
	if len(kept) > maxTold {
		kept = []driver.Message{{Notice: driver.Behind}}
	}
	for k := range kept {
		b.size += cost(&kept[k])
	}
	b.queue = append(kept, b.queue[i:]...)
	b.status.Lost++
}

// full says whether a sender that can wait should: half of it is taken.
func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size > b.limit/2
}

// take is Receive.
func (b *inbox) take(ctx context.Context, dst []driver.Message) (n int, err error) {
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return 0, driver.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			b.mu.Unlock()
			return 0, err
		}
		if n = copy(dst, b.queue); n > 0 {
			b.takenLocked(n)
			b.mu.Unlock()
			return n, nil
		}
		b.mu.Unlock()
		select {
		case <-b.ready:
		case <-ctx.Done():
		}
	}
}

func (b *inbox) takenLocked(n int) {
	before := b.size
	for i := range b.queue[:n] {
		m := &b.queue[i]
		b.size -= cost(m)
		if m.Notice == driver.NoNotice {
			b.status.Messages++
			b.status.Bytes += uint64(len(m.Payload))
		}
		*m = driver.Message{}
	}
	if b.queue = b.queue[n:]; len(b.queue) > 0 {
		signal(b.ready)
	} else {
		b.queue = nil
	}
	if before > b.limit/2 && b.size <= b.limit/2 {
		signal(b.space)
	}
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.size = true, nil, 0
	signal(b.ready)
}

func (b *inbox) malformed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Malformed++
}

func (b *inbox) counters() driver.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Retained = b.size
	return s
}
