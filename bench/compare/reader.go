package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// reader is the subscribers' side of every rival in fanout, paced and chain: N
// connections, one thread, epoll, large reads. It costs as little as a reader can
// that still checks the sequence of every event.
type reader struct {
	st      *station
	epoll   int
	fds     []int
	streams []stream
	buf     []byte
	ledger  ledger
}

const (
	readSize      = 256 << 10
	shareInterval = int64(time.Millisecond)
)

func runReader(_ context.Context, st *station) error {
	r := &reader{st: st, buf: make([]byte, maxFrame+readSize)}
	if err := r.connect(); err != nil {
		return err
	}
	if st.job.Gap > 0 {
		r.ledger.latency = make([]int64, 0, 1<<20)
	}
	st.ready("")
	if err := r.loop(); err != nil {
		return err
	}
	r.addMissing()
	r.publishTally()
	st.finish(r.ledger.latency)
	return nil
}

func (r *reader) connect() error {
	n := r.st.job.Subscribers
	if err := needFiles(n + 64); err != nil {
		return err
	}
	to, err := r.st.job.publisher()
	if err != nil {
		return err
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	r.fds = make([]int, n)
	r.streams = make([]stream, n)
	for i := range r.fds {
		if r.fds[i], err = dialSubscriber(nil, to); err != nil {
			return fmt.Errorf("subscriber %d of %d: %w", i+1, n, err)
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)} // the index, not the fd
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.fds[i], &ev); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

// loop reads until everything that was sent has been received, or nothing has
// come for drainPatience after the stop.
func (r *reader) loop() error {
	events := make([]unix.EpollEvent, 256)
	heard, shared := r.st.clock.now(), int64(0)
	for {
		n, err := unix.EpollWait(r.epoll, events, 10)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		r.ledger.record = r.st.job.Gap > 0 && r.st.measuring()
		for i := range max(n, 0) {
			if err := r.read(int(events[i].Fd)); err != nil {
				return fmt.Errorf("subscriber %d: %w", events[i].Fd+1, err)
			}
		}
		now := r.st.clock.now()
		if n > 0 {
			heard = now
			r.publishTally()
		}
		if now-shared < shareInterval {
			continue
		}
		shared = now
		r.shareProgress()
		if r.st.tally.phase() == phaseStop && (r.st.tally.reached() || now-heard > int64(drainPatience)) {
			return nil
		}
	}
}

func (r *reader) read(i int) error {
	s := &r.streams[i]
	carried := copy(r.buf, s.carry)
	n, err := unix.Read(r.fds[i], r.buf[carried:carried+readSize])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errPeerClosed
	}
	r.ledger.now = r.st.clock.now()
	rest, err := s.parse(r.buf[:carried+n], &r.ledger)
	s.carry = append(s.carry[:0], rest...)
	return err
}

// publishTally makes the counts visible to the goroutine that takes snapshots.
func (r *reader) publishTally() {
	from, to := &r.ledger.tally, r.st.tally
	atomic.StoreUint64(&to.Count, from.Count)
	atomic.StoreUint64(&to.Lost, from.Lost)
	atomic.StoreUint64(&to.Disorder, from.Disorder)
	atomic.StoreUint64(&to.Other, from.Other)
}

// shareProgress tells the senders what the slowest subscriber has reached.
func (r *reader) shareProgress() {
	for w := range r.st.job.Workers {
		slowest := r.streams[0].last[w]
		for i := range r.streams {
			slowest = min(slowest, r.streams[i].last[w])
		}
		atomic.StoreUint64(&r.st.tally.Last[w], slowest)
		atomic.StoreUint64(&r.st.progress[w], slowest)
	}
}

func (r *reader) addMissing() {
	for i := range r.streams {
		for w, target := range r.st.tally.Target {
			if last := r.streams[i].last[w]; last < target {
				r.ledger.tally.Lost += target - last
			}
		}
	}
}

// needFiles raises the limit of open files, or says what is missing.
func needFiles(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if limit.Cur >= uint64(n) {
		return nil
	}
	if limit.Max < uint64(n) {
		return fmt.Errorf("%d open files needed, the hard limit is %d", n, limit.Max)
	}
	limit.Cur = limit.Max
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
}
