package eventloop

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wakeIdent is the identifier of the user event that Wake triggers.
const wakeIdent = 0

// Poller waits for descriptors to become ready.
type Poller struct {
	kqueue int
	events []unix.Kevent_t

	mu     sync.Mutex // guards closed, and with it the use of kqueue by Wake
	closed bool
}

// New returns a Poller that reports at most batch events at a time.
func New(batch int) (*Poller, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, fmt.Errorf("create kqueue: %w", err)
	}
	unix.CloseOnExec(kq)
	p := &Poller{kqueue: kq, events: make([]unix.Kevent_t, batch)}
	var ev unix.Kevent_t
	unix.SetKevent(&ev, wakeIdent, unix.EVFILT_USER, unix.EV_ADD|unix.EV_CLEAR)
	if err := p.change(ev); err != nil {
		unix.Close(kq)
		return nil, fmt.Errorf("watch user event: %w", err)
	}
	return p, nil
}

func (p *Poller) change(evs ...unix.Kevent_t) error {
	_, err := unix.Kevent(p.kqueue, evs, nil, nil)
	return err
}

// Add watches a non-blocking descriptor. What it is ready for already is
// reported by the next Wait.
func (p *Poller) Add(fd int) error {
	var evs [2]unix.Kevent_t
	unix.SetKevent(&evs[0], fd, unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR)
	unix.SetKevent(&evs[1], fd, unix.EVFILT_WRITE, unix.EV_ADD|unix.EV_CLEAR)
	return p.change(evs[:]...)
}

// Remove stops watching a descriptor. Events of it that an earlier Wait
// returned are the caller's to ignore.
func (p *Poller) Remove(fd int) error {
	var evs [2]unix.Kevent_t
	unix.SetKevent(&evs[0], fd, unix.EVFILT_READ, unix.EV_DELETE)
	unix.SetKevent(&evs[1], fd, unix.EVFILT_WRITE, unix.EV_DELETE)
	return p.change(evs[:]...)
}

// Wait blocks until a descriptor is ready, Wake is called or the timeout ends,
// and appends what is ready to dst. A negative timeout waits for ever, 0 not
// at all. It may return early with nothing.
func (p *Poller) Wait(dst []Event, timeout time.Duration) ([]Event, error) {
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(timeout.Nanoseconds())
		ts = &t
	}
	n, err := unix.Kevent(p.kqueue, nil, p.events, ts)
	if err == unix.EINTR {
		return dst, nil
	}
	if err != nil {
		return dst, fmt.Errorf("kevent: %w", err)
	}
	for _, ev := range p.events[:n] {
		if ev.Filter == unix.EVFILT_USER {
			continue
		}
		dst = append(dst, Event{
			FD:       int(ev.Ident),
			Readable: ev.Filter == unix.EVFILT_READ,
			Writable: ev.Filter == unix.EVFILT_WRITE,
		})
	}
	return dst, nil
}

// Wake makes the current or the next Wait return. After Close it does nothing:
// by then the number of the descriptor may be somebody else's.
func (p *Poller) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	var ev unix.Kevent_t
	unix.SetKevent(&ev, wakeIdent, unix.EVFILT_USER, 0)
	ev.Fflags = unix.NOTE_TRIGGER
	_ = p.change(ev)
}

// Close releases the Poller, not the descriptors it watches. Idempotent.
func (p *Poller) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return unix.Close(p.kqueue)
}
