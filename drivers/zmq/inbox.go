package zmq

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

const (
	// chunkSize is how much is read from a connection at a time.
	chunkSize = 64 << 10
	// credit is how many chunks of one connection may wait, or be worked on,
	// while another one is being filled. A peer that floods fills its own.
	credit = 2
)

// chunk is a piece of one connection's stream and the messages in it.
type chunk struct {
	buf  []byte // what was read, up to the end of the last whole message
	msgs []driver.Message
	from *source // nil: of none
}

// source is one connection's place at the inbox.
type source struct {
	conn   net.Conn
	credit chan struct{}
	hungry atomic.Bool // the reader would use credit, but waits for input
}

func newSource(conn net.Conn) *source {
	s := &source{conn: conn, credit: make(chan struct{}, credit)}
	for range credit {
		s.credit <- struct{}{}
	}
	return s
}

// giveCredit says that one chunk was worked off. A reader that waits for input
// is called back by a deadline that has passed. It may be late and find the
// reader in a later wait, who then only looks once more.
func (s *source) giveCredit() {
	s.credit <- struct{}{}
	if s.hungry.Load() && s.hungry.CompareAndSwap(true, false) {
		_ = s.conn.SetReadDeadline(past)
	}
}

var past = time.Unix(1, 0)

var chunks = sync.Pool{New: func() any {
	return &chunk{buf: make([]byte, chunkSize), msgs: make([]driver.Message, 0, 512)}
}}

func takeChunk() *chunk { return chunks.Get().(*chunk) }

// chunkMessages bounds the memory for messages of a chunk that is kept.
const chunkMessages = 4096

// giveBack lets a chunk be used again. Those that grew, for a large message or
// for very many small ones, are left to the garbage collector.
func (c *chunk) giveBack() {
	if cap(c.buf) != chunkSize || cap(c.msgs) > chunkMessages {
		return
	}
	c.buf = c.buf[:chunkSize]
	clear(c.msgs)
	c.msgs = c.msgs[:0]
	c.from = nil
	chunks.Put(c)
}

// inbox is where many connections meet one Receive.
type inbox struct {
	ready   chan *chunk
	closed  chan struct{}
	drained chan struct{} // closed when no source is left and none may come

	current *chunk // Receive's own: being handed out
	next    int    // the first message of it that was not

	messages atomic.Uint64
	bytes    atomic.Uint64
}

func newInbox() *inbox {
	return &inbox{ready: make(chan *chunk, 64), closed: make(chan struct{}), drained: make(chan struct{})}
}

// put hands a chunk over. It blocks while the inbox is full; no means that it
// was closed.
func (in *inbox) put(c *chunk) bool {
	select {
	case in.ready <- c:
		return true
	case <-in.closed:
		return false
	}
}

// note hands notices over that belong to no place in a stream. It blocks while
// the inbox is full.
func (in *inbox) note(notices []driver.Message) { in.put(&chunk{msgs: notices}) }

// receive implements driver.Subscriber.Receive.
func (in *inbox) receive(ctx context.Context, dst []driver.Message) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case <-in.closed:
		return 0, driver.ErrClosed
	default:
	}
	if in.current == nil || in.next == len(in.current.msgs) {
		if err := in.turn(ctx); err != nil {
			return 0, err
		}
	}
	n := copy(dst, in.current.msgs[in.next:])
	in.next += n
	var messages, bytes uint64
	for i := range dst[:n] {
		if dst[i].Notice == driver.NoNotice {
			messages++
		}
		bytes += uint64(len(dst[i].Payload))
	}
	in.messages.Add(messages)
	in.bytes.Add(bytes)
	return n, nil
}

// turn replaces the current chunk, whose messages the caller is done with.
func (in *inbox) turn(ctx context.Context) error {
	if c := in.current; c != nil {
		in.current = nil
		from := c.from
		c.giveBack()
		if from != nil {
			from.giveCredit()
		}
	}
	in.next = 0
	select {
	case in.current = <-in.ready:
		return nil
	default:
	}
	select {
	case in.current = <-in.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-in.closed:
		return driver.ErrClosed
	case <-in.drained:
		// What was put before the drain ended is still to be handed out.
		select {
		case in.current = <-in.ready:
			return nil
		default:
			return io.EOF
		}
	}
}
