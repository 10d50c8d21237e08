package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The crowd are the subscribers that misbehave in isolation: one process, one
// thread, at the lowest priority, because their processors would not be the
// publisher's. Each begins as a good subscriber of the topic.
const (
	crowdStopped = "stopped"
	crowdSlow    = "slow"
	crowdHostile = "hostile"
)

const (
	// A slow subscriber reads 4 KiB/s.
	slowEvery = 250 * time.Millisecond
	slowRead  = 1 << 10
)

// crowdHost is where the crowd lives: on a host of its own. A publisher tells nodes
// to sync when one that lived at their address is gone, which may have been theirs.
var crowdHost = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}

// runStopped never reads. To the publisher's host that is a process that was
// stopped: the kernel at the other end takes what fits into its buffer.
func runStopped(_ context.Context, st *station) error {
	if _, err := dialCrowd(st); err != nil {
		return err
	}
	st.ready("")
	<-st.exit
	return nil
}

func runSlow(_ context.Context, st *station) error {
	fds, err := dialCrowd(st)
	if err != nil {
		return err
	}
	st.ready("")
	buf := make([]byte, slowRead)
	return st.every(slowEvery, func() error {
		for _, fd := range fds {
			n, err := unix.Read(fd, buf)
			switch {
			case err == unix.EAGAIN || err == unix.EINTR:
			case err != nil:
				return os.NewSyscallError("read", err)
			case n == 0:
				return errPeerClosed
			}
		}
		return nil
	})
}

func dialCrowd(st *station) ([]int, error) {
	runtime.LockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil { // of the thread
		return nil, os.NewSyscallError("setpriority", err)
	}
	n := st.job.Subscribers
	if err := needFiles(n + 64); err != nil {
		return nil, err
	}
	to, err := st.job.publisher()
	if err != nil {
		return nil, err
	}
	fds := make([]int, n)
	for i := range fds {
		if fds[i], err = dialSubscriber(crowdHost, to); err != nil {
			return nil, fmt.Errorf("subscriber %d of %d: %w", i+1, n, err)
		}
	}
	return fds, nil
}

// every calls do until the run is over.
func (st *station) every(d time.Duration, do func() error) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-st.exit:
			return nil
		case <-tick.C:
		}
		if err := do(); err != nil {
			return err
		}
	}
}
