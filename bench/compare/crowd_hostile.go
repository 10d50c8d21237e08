package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// deed is what a hostile subscriber does. None of them ever reads.
type deed int

const (
	ask    deed = iota // floods subscriptions, cancels and PINGs; comes back when it's thrown out
	churn              // floods subscriptions and cancels, and stays
	knock              // breaks off its handshake, comes back
	babble             // sends what is malformed, comes back
	hurry              // subscribes, comes back
	deeds
)

// Each does its deed every hostileEvery; not all at once, but in so many parties.
const (
	hostileEvery = 20 * time.Millisecond
	parties      = 10
)

// doers is how many of n hostile subscribers do a deed: they are dealt out.
func doers(n int, d deed) int { return (n + int(deeds-1-d)) / int(deeds) }

type hostile struct {
	deed deed
	to   unix.Sockaddr
	fd   int
	turn int
	rest []byte // of a flood, what the socket didn't take
}

func runHostile(_ context.Context, st *station) error {
	fds, err := dialCrowd(st)
	if err != nil {
		return err
	}
	to, err := st.job.publisher()
	if err != nil {
		return err
	}
	crowd := make([]hostile, len(fds))
	for i, fd := range fds {
		crowd[i] = hostile{deed: deed(i % int(deeds)), to: to, fd: fd, turn: i}
	}
	st.ready("")
	party := 0
	return st.every(hostileEvery/parties, func() error {
		first := party * len(crowd) / parties
		party++
		next := party * len(crowd) / parties
		party %= parties
		for i := first; i < next; i++ {
			if err := crowd[i].act(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *hostile) act() error {
	h.turn++
	switch h.deed {
	case ask:
		return h.flood(questions)
	case churn:
		return h.flood(changes)
	case knock:
		part := len(hello) * (h.turn % 8) / 8
		return h.comeBack(hello[:part])
	case babble:
		return h.comeBack(slices.Concat(hello, nonsense[h.turn%len(nonsense)]))
	}
	return h.comeBack(hello)
}

// flood sends as much as the socket takes of what is left, or of a new burst.
func (h *hostile) flood(burst []byte) error {
	if len(h.rest) == 0 {
		h.rest = burst
	}
	n, err := unix.Write(h.fd, h.rest)
	switch err {
	case nil:
		h.rest = h.rest[n:]
	case unix.EAGAIN, unix.EINTR:
	default: // it was thrown out
		h.rest = nil
		return h.comeBack(hello)
	}
	return nil
}

// comeBack leaves, connects anew and sends p. Where that doesn't work at once the
// next turn tries again.
func (h *hostile) comeBack(p []byte) error {
	unix.Close(h.fd)
	var err error
	if h.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(h.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 256<<10); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := bindHost(h.fd, crowdHost); err != nil {
		return err
	}
	// On the loopback the connection is there, though it's said to be in progress.
	_ = unix.Connect(h.fd, h.to)
	_, _ = unix.Write(h.fd, p)
	return nil
}

// hello is all that a subscriber says up to its subscription.
var hello = slices.Concat(greeting, readyCommand("SUB"), subscription(1, topic))

// questions and changes are bursts of about 1000 and 360 requests. PINGs have all
// the context that they may have, so that their answers are long.
var (
	changes   = burst(4<<10, "")
	questions = burst(16<<10, "\x04PING\x00\x000123456789abcdef")
)

func burst(size int, command string) []byte {
	var b []byte
	for i := 0; len(b) < size; i++ {
		text := fmt.Sprintf("topic %d", i)
		b = append(b, subscription(1, text)...)
		if command != "" {
			b = append(append(b, flagCommand, byte(len(command))), command...)
		}
		b = append(b, subscription(0, text)...)
	}
	return b
}

// nonsense is what no subscriber may send after its handshake.
var nonsense = [][]byte{
	{0x80, 0},                             // reserved flags
	{flagLong, 0x80, 0, 0, 0, 0, 0, 0, 0}, // a frame of 2^63 bytes
	{flagCommand, 0},                      // a command without a name
	{flagMore, 1, 'x', flagCommand, 5, 4, 'P', 'I', 'N', 'G'},                  // a command in a message
	[]byte("\x01\x01x\x01\x01x\x00\x01x"),                                      // an event
	subscription(1, string(bytes.Repeat([]byte{'x'}, 250)))[:100],              // half a subscription
	append([]byte{flagLong, 0, 0, 0, 0, 0, 0, 0x20, 0}, make([]byte, 8192)...), // too long a subscription
}
