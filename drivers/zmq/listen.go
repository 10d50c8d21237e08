package zmq

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
)

// acceptAll gives every connection to take, until the listener is closed, of
// which closed tells while nothing can be accepted. When descriptors run out it
// waits, and what is connected already goes on.
func acceptAll(l net.Listener, closed <-chan struct{}, log *slog.Logger, take func(net.Conn)) {
	pause := &backoff.Backoff{Min: 5 * time.Millisecond, Max: time.Second}
	var rate lograte.Limiter
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if n, ok := rate.Allow(time.Now()); ok {
				log.Warn("can't accept connections", "err", err, "suppressed", n)
			}
			t := time.NewTimer(pause.Next())
			select {
			case <-t.C:
			case <-closed:
				t.Stop()
			}
			continue
		}
		pause.Reset()
		take(conn)
	}
}

// spareListener holds a descriptor in reserve for what is to become of a
// connection after it was accepted, and accepts none without: where there are no
// descriptors, connections wait with the kernel instead of being refused.
type spareListener struct {
	net.Listener
	spare int // -1: none. Only who accepts uses it
}

// Accept implements net.Listener.
func (l *spareListener) Accept() (net.Conn, error) {
	if l.spare < 0 {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open a spare descriptor: %w", err)
		}
		l.spare = fd
	}
	return l.Listener.Accept()
}

// drop gives the reserve to whoever asks next.
func (l *spareListener) drop() {
	if l.spare >= 0 {
		unix.Close(l.spare)
		l.spare = -1
	}
}

// remoteName names a connected peer for people.
func remoteName(conn net.Conn) string {
	if conn.RemoteAddr().Network() == "unix" {
		if name := connProcess(conn); name != "" {
			return name
		}
		return "unix peer"
	}
	return conn.RemoteAddr().String()
}

// refusals counts and logs, at a bounded rate, peers that were turned away.
type refusals struct {
	log   *slog.Logger
	what  string
	count atomic.Uint64
	rate  lograte.Limiter
	notes lograte.Limiter
}

func (r *refusals) add(address string, reason error) {
	r.count.Add(1)
	if n, ok := r.rate.Allow(time.Now()); ok {
		r.log.Warn(r.what, "peer", address, "reason", reason, "suppressed", n)
	}
}

// note logs something else about a peer at a bounded rate.
func (r *refusals) note(what, address string) {
	if n, ok := r.notes.Allow(time.Now()); ok {
		r.log.Warn(what, "peer", address, "suppressed", n)
	}
}
