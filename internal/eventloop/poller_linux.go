package eventloop

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits for descriptors to become ready.
type Poller struct {
	epoll  int
	wake   int // an eventfd
	events []unix.EpollEvent
}

// New returns a Poller that reports at most batch events at a time.
func New(batch int) (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(wake)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		unix.Close(wake)
		unix.Close(epoll)
		return nil, fmt.Errorf("watch eventfd: %w", err)
	}
	return &Poller{epoll: epoll, wake: wake, events: make([]unix.EpollEvent, batch)}, nil
}

// Add watches a non-blocking descriptor. What it is ready for already is
// reported by the next Wait.
func (p *Poller) Add(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev)
}

// Remove stops watching a descriptor. Events of it that an earlier Wait
// returned are the caller's to ignore.
func (p *Poller) Remove(fd int) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// Wait blocks until a descriptor is ready, Wake is called or the timeout ends,
// and appends what is ready to dst. A negative timeout waits for ever, 0 not
// at all. It may return early with nothing.
func (p *Poller) Wait(dst []Event, timeout time.Duration) ([]Event, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(p.epoll, p.events, ms)
	if err == unix.EINTR {
		return dst, nil
	}
	if err != nil {
		return dst, fmt.Errorf("epoll wait: %w", err)
	}
	for _, ev := range p.events[:n] {
		if int(ev.Fd) == p.wake {
			// Edge-triggered: reading the counter is not needed for the next
			// edge, but keeps it from overflowing in some ten thousand years.
			continue
		}
		dst = append(dst, Event{
			FD:       int(ev.Fd),
			Readable: ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Writable: ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return dst, nil
}

// Wake makes the current or the next Wait return.
func (p *Poller) Wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// EAGAIN means a counter near its maximum: awake enough.
	_, _ = unix.Write(p.wake, one[:])
}

// Close releases the Poller, not the descriptors it watches.
func (p *Poller) Close() error {
	unix.Close(p.wake)
	return unix.Close(p.epoll)
}
