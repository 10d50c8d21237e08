package inbox

import "github.com/wyvern-pubsub/wyvern/driver"

const (
	// blockSize is how many messages a block of the queue holds: 8 KiB.
	blockSize = 128
	// maxSpares is how many blocks are kept to be used again: what a usual
	// response needs, and no more than 64 KiB.
	maxSpares = 8
)

// queue is first in, first out. A list of blocks, and not a slice that grows,
// gives the memory of a burst back as it is worked off, and has nothing to copy.
type queue struct {
	first, last *block
	head, tail  int // the next one of first to be taken, and of last to be set
	length      int
	spare       *block
	spares      int
}

type block struct {
	msgs [blockSize]driver.Message
	next *block
}

func (q *queue) push(m *driver.Message) {
	switch {
	case q.last == nil:
		q.last = q.block()
		q.first = q.last
	case q.tail == blockSize:
		q.last.next = q.block()
		q.last, q.tail = q.last.next, 0
	}
	q.last.msgs[q.tail] = *m
	q.tail++
	q.length++
}

// pop fills dst from its start and returns how many there were.
func (q *queue) pop(dst []driver.Message) (n int) {
	for n < len(dst) && q.length > 0 {
		some := q.first.msgs[q.head:min(blockSize, q.head+q.length)]
		some = some[:copy(dst[n:], some)]
		clear(some)
		n += len(some)
		q.head += len(some)
		q.length -= len(some)
		switch {
		case q.length == 0: // first is last
			q.head, q.tail = 0, 0
		case q.head == blockSize:
			done := q.first
			q.first, q.head = done.next, 0
			q.keep(done)
		}
	}
	return n
}

func (q *queue) block() *block {
	b := q.spare
	if b == nil {
		return new(block)
	}
	q.spare, b.next = b.next, nil
	q.spares--
	return b
}

// keep has an empty block used again, unless there are enough.
func (q *queue) keep(b *block) {
	if b.next = nil; q.spares < maxSpares {
		b.next, q.spare = q.spare, b
		q.spares++
	}
}
