package main

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Phases of a child, in the order in which it goes through them.
const (
	phaseIdle    = 0
	phaseTrickle = 1 // senders: one event per millisecond
	phaseFull    = 2 // senders: everything they can, or paced
	phaseStop    = 3
)

// tally is what a role's hot loop and the goroutine that talks to the parent
// share. It's struct tally of loop.h, outside Go's memory, because the hot loops
// of libzmq are in C. Every field is read and written atomically.
type tally struct {
	Count    uint64             // events sent, or received and checked
	Lost     uint64             // sequence numbers that never came
	Disorder uint64             // events that came twice or too late
	Other    uint64             // bodies that are no event of this program
	Last     [maxWorkers]uint64 // receivers: the slowest stream's sequence per worker
	Target   [maxWorkers]uint64 // receivers: what the senders sent, from phaseStop on
	Workers  uint32             // receivers: of how many workers
	Phase    uint32
}

func newTally() (*tally, error) {
	page, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(tally{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map tally: %w", err)
	}
	return (*tally)(unsafe.Pointer(&page[0])), nil
}

func (t *tally) phase() uint32 { return atomic.LoadUint32(&t.Phase) }

// see checks an event against the last one of its stream and returns what the
// last one is now. A stream begins with whatever comes first: the subscription
// takes effect while the senders trickle.
func (t *tally) see(last, seq uint64) uint64 {
	switch {
	case seq == last+1 || last == 0:
		t.Count++
	case seq > last:
		t.Lost += seq - last - 1
		t.Count++
	default:
		t.Disorder++
		return last
	}
	return seq
}

// flowing says whether a receiver has begun to receive from every worker.
func (t *tally) flowing() bool {
	for w := range atomic.LoadUint32(&t.Workers) {
		if atomic.LoadUint64(&t.Last[w]) == 0 {
			return false
		}
	}
	return true
}

// reached says whether a receiver has everything that was sent.
func (t *tally) reached() bool {
	for w := range atomic.LoadUint32(&t.Workers) {
		if atomic.LoadUint64(&t.Last[w]) < atomic.LoadUint64(&t.Target[w]) {
			return false
		}
	}
	return true
}

// addMissing adds the events behind the last one that came to the losses.
func (t *tally) addMissing() {
	for w := range atomic.LoadUint32(&t.Workers) {
		last, target := atomic.LoadUint64(&t.Last[w]), atomic.LoadUint64(&t.Target[w])
		if last < target {
			atomic.AddUint64(&t.Lost, target-last)
		}
	}
}

// progress is memory that all processes of a run share: per worker, the sequence
// that the slowest subscriber has reached. A sender whose own queue doesn't hold
// it back stays within a window of it.
type progress [maxWorkers]uint64

const progressFd = 3 // of every child

func mapProgress(fd int) (*progress, error) {
	page, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(progress{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map progress: %w", err)
	}
	return (*progress)(unsafe.Pointer(&page[0])), nil
}
