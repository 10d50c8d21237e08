package zmq

import (
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

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
