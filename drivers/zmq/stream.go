package zmq

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

const (
	// parkSize is how much of an incomplete message a quiet connection keeps
	// by itself instead of in a chunk: peers that send a byte and stop are to
	// cost little.
	parkSize = 4 << 10
	// maxTopic bounds the first frame of a message. A topic has 255 bytes at
	// most, which is for the core to check; but nobody is to make us collect a
	// megabyte of it.
	maxTopic = 8 << 10
)

// stream cuts what a link's peer sends into messages. It belongs to the
// goroutine that reads.
type stream struct {
	link  *link
	in    *inbox
	from  *source
	limit int // of the second frame
	src   *driver.Source

	rc     syscall.RawConn
	chunk  *chunk // being filled; nil while nothing is there
	have   int    // bytes of it that are
	used   int    // bytes of these that were cut up
	parked []byte // they are here instead
	skip   bool   // inside a message that has too many frames

	// Of the latest read: a closure that is made once must leave them here.
	n   int
	err error
}

// read reads messages into the inbox until the link ends. rest came with the
// handshake. limit bounds a payload.
func (l *link) read(in *inbox, rest []byte, limit int, src *driver.Source) {
	rc, err := l.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		l.close(err)
		return
	}
	s := &stream{link: l, in: in, from: newSource(l.conn), limit: limit, src: src, rc: rc}
	if len(rest) > 0 {
		s.parked = rest
		s.unpark()
	}
	attempt := s.attempt
	for {
		need := 0
		if err == nil && s.have > 0 {
			need, err = s.parse()
		}
		if err != nil {
			l.close(err)
			l.torn = s.have > s.used || s.skip || len(s.parked) > 0
			if s.chunk != nil && len(s.chunk.msgs) > 0 && l.reason != errClosed {
				s.deliver(true) // what came before the fault
			}
			return
		}
		switch {
		case s.chunk == nil:
		case len(s.chunk.msgs) > 0:
			full := s.have == len(s.chunk.buf) || need > len(s.chunk.buf)-s.used
			if !s.deliver(full) {
				return
			}
		default:
			// Only control frames, or less than a message: go on in place.
			s.have, s.used = copy(s.chunk.buf, s.chunk.buf[s.used:s.have]), 0
			if s.have == len(s.chunk.buf) {
				// By what has come, not by what was announced.
				s.chunk.grow(min(need, 4*s.have))
			}
		}
		err = s.fill(attempt)
	}
}

// deliver puts the chunk into the inbox if the connection has credit. Without
// it, unless it has to, it does not wait: there is room for more in the chunk,
// and what comes may be a heartbeat, or the question whether all was read. It
// says no when the inbox was closed.
func (s *stream) deliver(must bool) bool {
	select {
	case <-s.from.credit:
	default:
		if !must {
			s.from.hungry.Store(true)
			select {
			case <-s.from.credit: // given before that could be seen
			default:
				return true
			}
		} else {
			select {
			case <-s.from.credit:
			case <-s.in.closed:
				return false
			}
		}
	}
	s.from.hungry.Store(false)
	// What is incomplete begins the next chunk.
	c := s.chunk
	s.parked = append(s.parked, c.buf[s.used:s.have]...)
	s.chunk, s.have, s.used = nil, 0, 0
	c.from = s.from
	return s.in.put(c)
}

// fill reads what there is behind what is there, or comes back with nothing
// when there is credit for what is there.
func (s *stream) fill(attempt func(uintptr) bool) error {
	s.link.waiting.Store(clock())
	err := s.rc.Read(attempt)
	s.link.waiting.Store(0)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.link.conn.SetReadDeadline(time.Time{})
	case err != nil:
		return err
	case s.err != nil:
		return s.err
	case s.n == 0:
		return io.EOF
	}
	s.have += s.n
	return nil
}

// attempt is one read. An idle connection holds no chunk: one is taken when
// there may be input, and given back if there is none.
func (s *stream) attempt(fd uintptr) bool {
	s.unpark()
	for {
		s.n, s.err = unix.Read(int(fd), s.chunk.buf[s.have:])
		if s.err != unix.EINTR {
			break
		}
	}
	if s.err == unix.EAGAIN {
		s.link.idle.Store(s.have == s.used)
		s.park()
		return false
	}
	if s.link.idle.Load() {
		s.link.idle.Store(false)
	}
	return true
}

// park gives the chunk back if there is little in it.
func (s *stream) park() {
	if s.have > parkSize || len(s.chunk.msgs) > 0 {
		return
	}
	s.parked = append(s.parked[:0], s.chunk.buf[:s.have]...)
	s.chunk.giveBack()
	s.chunk, s.have = nil, 0
}

// unpark makes sure that there is a chunk, with room for more.
func (s *stream) unpark() {
	if s.chunk != nil {
		return
	}
	s.chunk = takeChunk()
	if len(s.parked) >= len(s.chunk.buf) {
		s.chunk.grow(len(s.parked) + 1)
	}
	s.have = copy(s.chunk.buf, s.parked)
	if s.parked = s.parked[:0]; cap(s.parked) > chunkSize {
		s.parked = nil
	}
}

// parse cuts what is there into messages. It returns how many bytes the rest
// wants to be. An error is a violation of the protocol.
func (s *stream) parse() (need int, err error) {
	l, c := s.link, s.chunk
	for {
		p := c.buf[s.used:s.have]
		limit := s.limit
		if !s.skip {
			limit = min(limit, maxTopic)
		}
		f, n, want, err := zmtp.ParseFrame(p, limit)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return want, nil
		}
		switch {
		case f.Command && s.skip:
			return 0, errInside
		case f.Command:
			notices, err := l.command(f.Body)
			if err != nil {
				return 0, err
			}
			c.msgs = append(c.msgs, notices...)
			s.used += n
			continue
		case l.mute:
			return 0, errUnexpected
		case s.skip:
			s.skip = f.More
			s.used += n
			continue
		case !f.More:
			l.malformedMessage("message has one frame, not two")
			s.used += n
			continue
		}
		body, m, want, err := zmtp.ParseFrame(p[n:], s.limit)
		if err != nil {
			return 0, err
		}
		if m == 0 {
			return n + want, nil
		}
		if body.Command {
			return 0, errInside
		}
		s.used += n + m
		if body.More {
			s.skip = true
			l.malformedMessage("message has more than two frames")
			continue
		}
		l.received++
		if l.early {
			continue
		}
		c.msgs = append(c.msgs, driver.Message{Topic: f.Body, Payload: body.Body, Source: s.src})
	}
}

// grow enlarges the buffer to n bytes.
func (c *chunk) grow(n int) {
	buf := make([]byte, n)
	copy(buf, c.buf)
	c.buf = buf
}
