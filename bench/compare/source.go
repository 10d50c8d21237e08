package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

// source makes the events of a sender that is written in Go, at the rate that
// the phase, the gap and the window allow. loop.h has the same in C for libzmq.
//
//	src := newSource(st)
//	for src.next() {
//		send(topic, src.body) // valid until the next call of next
//		src.sent()
//	}
type source struct {
	st   *station
	body []byte
	seq  uint64
	due  int64 // intended time of the next event when paced, ns

	other []byte // the body of the next event but one: large and small take turns; nil without Bulk
}

// newSource locks the calling goroutine to its thread when the job is paced.
func newSource(st *station) *source {
	if st.job.Gap > 0 {
		runtime.LockOSThread()
	}
	s := &source{st: st, body: newBody(st.job.Worker)}
	if n := st.job.Bulk; n > 0 {
		s.other = append(newBody(st.job.Worker), make([]byte, n-bodySize)...)
	}
	return s
}

// next waits until the next event is due, and makes it. It returns false when
// the run stops.
func (s *source) next() bool {
	if !s.await() {
		return false
	}
	s.seq++
	if s.other != nil {
		putDigits(s.body[seqAt:seqAt+digits], s.seq)
	} else {
		countUp(s.body[seqAt : seqAt+digits])
	}
	return true
}

func (s *source) await() bool {
	j := &s.st.job
	for {
		switch s.st.tally.phase() {
		case phaseStop:
			return false
		case phaseTrickle:
			time.Sleep(time.Millisecond)
			return true
		}
		if j.Gap > 0 {
			return s.awaitDue()
		}
		if j.Window == 0 || s.seq < atomic.LoadUint64(&s.st.progress[j.Worker])+j.Window {
			return true
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// awaitDue keeps to the grid however late the events before were: the latency
// that they caused is part of what is measured. Large events, half-way between
// the others, have no time: they are checked and not measured.
func (s *source) awaitDue() bool {
	if s.due == 0 {
		s.due = s.st.clock.now() / 1000 * 1000
	}
	gap := int64(s.st.job.Gap)
	if s.other != nil {
		gap /= 2
		s.body, s.other = s.other, s.body
	}
	s.due += gap
	sleepUntil(s.due)
	if len(s.body) == bodySize {
		putDigits(s.body[timeAt:timeAt+digits], uint64(s.due/1000))
	}
	return s.st.tally.phase() != phaseStop
}

// sent counts the event as accepted by the publisher.
func (s *source) sent() { atomic.StoreUint64(&s.st.tally.Count, s.seq) }
