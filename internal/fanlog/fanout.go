package fanlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options are the bounds of a Fanout. Zero values are replaced by defaults.
type Options struct {
	// Retention is the memory in bytes for events that somebody may still
	// have to read, with their topics; default 64 MiB. It is not exceeded by more than one
	// segment (1 MiB, or one event), a few that wait to be used again, and
	// what a round of writes is reading at the moment.
	Retention int64
	// Loops is how many goroutines write; default GOMAXPROCS, at most 8. The
	// connections are dealt out among them.
	Loops int
	// MaxSubscriptions bounds the subscriptions of one session; default
	// 100000.
	MaxSubscriptions int
	// Tick is how often handlers look at the clock; default 250 ms.
	Tick time.Duration
	// Restore, if not nil, gives what Save of another Fanout wrote: New fills
	// the log with it, as much as Retention allows, and counts on from there.
	Restore io.Reader
	// Log receives what can't be returned; default: discarded.
	Log *slog.Logger
}

// Fanout is the shared log with its loops.
type Fanout struct {
	opts  Options
	log   *log
	loops []*loop
	next  atomic.Uint32 // whose turn it is to get a session

	waiting  atomic.Bool   // an append waits
	progress chan struct{} // rung by loops while one does
	lost     atomic.Uint64

	once sync.Once
	done chan struct{} // closed when closing begins
	wg   sync.WaitGroup
}

// New starts the loops. An error that is ErrSaved is about what Options.Restore
// gives.
func New(opts Options) (*Fanout, error) {
	if opts.Retention <= 0 {
		opts.Retention = 64 << 20
	}
	opts.Retention = max(opts.Retention, 4*segmentSize)
	if opts.Loops <= 0 {
		opts.Loops = min(runtime.GOMAXPROCS(0), 8)
	}
	if opts.MaxSubscriptions <= 0 {
		opts.MaxSubscriptions = 100000
	}
	if opts.Tick <= 0 {
		opts.Tick = 250 * time.Millisecond
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	f := &Fanout{
		opts:     opts,
		log:      newLog(opts.Retention, opts.Loops),
		progress: make(chan struct{}, 1),
		done:     make(chan struct{}),
	}
	if opts.Restore != nil {
		if err := f.log.restore(opts.Restore); err != nil {
			return nil, fmt.Errorf("restore log: %w", err)
		}
		f.opts.Restore = nil
	}
	for range opts.Loops {
		l, err := newLoop(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.loops = append(f.loops, l)
		f.wg.Go(l.run)
	}
	return f, nil
}

// Append adds events in order and returns how many. It blocks while healthy
// sessions are too far behind (see throttle.go), until ctx ends. It copies the
// frames. Not to be called concurrently with itself.
func (f *Fanout) Append(ctx context.Context, frames []Frame) (int, error) {
	n := 0
	for n < len(frames) {
		select {
		case <-f.done:
			return n, ErrClosed
		default:
		}
		rotated := false
		f.log.mu.Lock()
		for n < len(frames) && !rotated {
			rotated = f.log.appendLocked(&frames[n])
			n++
		}
		f.log.mu.Unlock()
		for _, l := range f.loops {
			l.ring()
		}
		if rotated {
			if err := f.admit(ctx); err != nil && n < len(frames) {
				return n, err
			}
		}
	}
	return n, nil
}

// Head returns the offset of the next event to be appended: how many there were
// before it, those of earlier logs that were restored included.
func (f *Fanout) Head() uint64 {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	return f.log.headLocked()
}

// Attach gives a connected, non-blocking socket to a loop, which closes it at
// the end, and sends greeting. All of h's methods are called from there on,
// Closed last, even when the Fanout is closed already. end ends the session; it
// may be called at any time, from anywhere, and does not wait.
func (f *Fanout) Attach(fd int, h Handler, greeting []byte) (end func(reason error)) {
	l := f.loops[int(f.next.Add(1))%len(f.loops)]
	var s *Session // the loop's
	if !l.post(func() {
		l.attach(fd, h, greeting)
		s = l.sessions[fd]
	}) {
		refuse(fd, h)
	}
	return func(reason error) {
		l.post(func() {
			if s != nil {
				l.close(s, reason)
			}
		})
	}
}

// refuse closes a connection that no loop takes any more.
func refuse(fd int, h Handler) {
	unix.Close(fd)
	h.Closed(&Session{fd: -1, busy: -1, closed: true}, ErrClosed)
}

// Stats are counters of a Fanout, as of now.
type Stats struct {
	Sessions int
	Lost     uint64 // times that a session fell out of retention
	Retained int64  // bytes, of events and their topics
}

// Stats returns them. It does not block for long.
func (f *Fanout) Stats() Stats {
	st := Stats{Lost: f.lost.Load(), Retained: f.log.retained()}
	for _, l := range f.loops {
		st.Sessions += int(l.peers.Load())
	}
	return st
}

// lingerTime is how long Close waits for peers to take note of the end: what a
// peer has not read by then may be lost to it, whether or not its host has it.
const lingerTime = time.Second

// Close ends all sessions: each is told so by the end of the stream and has a
// moment to answer with its own, so that what was written is read. It waits
// for the loops. Idempotent; wakes a blocked Append or Flush.
func (f *Fanout) Close() error {
	f.once.Do(func() { close(f.done) })
	for _, l := range f.loops {
		l.post(func() {
			if l.closing {
				return
			}
			l.closing = true
			l.endFlushes(0, ErrClosed)
			l.deadline = l.now.Add(lingerTime)
			for _, s := range l.sessions {
				if !s.active || s.blocked {
					l.close(s, ErrClosed)
					continue
				}
				if err := unix.Shutdown(s.fd, unix.SHUT_WR); err != nil && !errors.Is(err, unix.ENOTCONN) {
					l.close(s, ErrClosed)
					continue
				}
				// Nothing can be written any more.
				l.makeIdle(s)
				s.active = false
				s.out = nil
			}
		})
	}
	f.wg.Wait()
	return nil
}
