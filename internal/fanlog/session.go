package fanlog

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// maxPrivate bounds the bytes that wait to be sent to one session besides the
// log: answers to heartbeats, notices. A peer that asks without reading is
// closed when it is reached.
const maxPrivate = 64 << 10

// maxUnread bounds what is kept of an incomplete input. It is the size of the
// loop's buffer: one byte less leaves room to read more.
const maxUnread = 64 << 10

// Errors that end a session.
var (
	// ErrPrivate is the reason when a peer doesn't read the answers to what it
	// asks.
	ErrPrivate = errors.New("peer does not read its answers")
	// ErrUnread is the reason when a handler can't use what a peer sent for
	// want of more, beyond all measure.
	ErrUnread = errors.New("incomplete input too long")
	// ErrHangup is the reason when the peer closed the connection.
	ErrHangup = errors.New("closed by peer")
	// ErrTorn is the reason when a session fell out of retention in the middle
	// of an event that is too large to be kept for it alone.
	ErrTorn = errors.New("fell out of retention inside a large event")
	// ErrClosed is returned, and the reason of sessions, when the Fanout was
	// closed.
	ErrClosed = errors.New("closed")
)

// Handler speaks the protocol of one session. All methods are called from the
// loop that owns the session, one at a time, and must not block.
type Handler interface {
	// Input is given what the peer sent and was not consumed before, and
	// returns how much of it it consumed. An error closes the session, after
	// one attempt to send what Send was given.
	Input(s *Session, p []byte) (n int, err error)
	// Tick is called every Options.Tick. An error closes the session.
	Tick(s *Session, now time.Time) error
	// Lost is called when the session fell so far behind that events it was
	// entitled to are no longer retained. It goes on with what is appended
	// next; what Lost sends comes before that. An event that it was taking is
	// completed before, unless it is too large (ErrTorn).
	//
	// It is called when the session takes bytes again, not when it fell: a
	// session that is stopped keeps no notices, however often that happens.
	Lost(s *Session)
	// Closed is the last call. Subscriptions still tells what there was.
	Closed(s *Session, reason error)
}

// Session is one connection: a cursor in the log and a place for bytes of its
// own. Its methods are for its Handler, on the loop.
type Session struct {
	loop    *loop
	fd      int
	handler Handler
	marker  Marker // handler, if it is one

	in  []byte // input not consumed yet
	out []byte // private bytes, sent before the next event

	active   bool // receives the log
	caught   bool // has everything up to the loop's head: at is meaningless
	blocked  bool // the socket takes no more
	readable bool // the socket may have input
	paused   bool // is not read, though it may (pause.go)
	leftover bool // in was left because of that, and is to be looked at again
	closed   bool
	greedy   bool // receives every topic
	lost     bool // fell out of retention and has not been told so; receives nothing until then
	slow     bool // holds up nobody any more, until it has caught up (throttle.go)
	fresh    bool // was activated since the last judgement

	undelivered bool // when it was closed

	until  time.Time // of the pause
	ending error     // why the session is to be closed

	at     position
	busy   int       // index in loop.busy; -1
	moved  time.Time // when it last took something, or was given the first of its backlog
	queued int       // bytes that a flush last saw unacknowledged

	sent     uint64 // bytes
	messages uint64 // events, whole
	mark     uint64 // sent, when the latest mark was made

	gauge  uint64        // sent, at the last judgement
	recent uint64        // bytes taken before that, halved with each account
	lag    time.Duration // how much of the waiting since then it was behind
	since  uint64        // sent, when it became slow or was last lost

	news   *holding // first of the topics with news for it, linked by holding.next
	topics int      // how many they are
	round  uint64   // the loop's round in which that list was made
	whole  bool     // all of that round's events are for it

	holdings map[*held]*holding
	exact    map[string]bool
	patterns map[string]int
	count    int    // subscriptions
	work     uint64 // holds on topics that were made and let go
}

// Undelivered says, in Closed, whether something that was sent had to be sent again
// by the kernel and was not acknowledged: it did not get across, and what came from
// the peer may have been late. Where kernels can't tell it is so.
func (s *Session) Undelivered() bool { return s.undelivered }

// Send queues private bytes, whole frames, to be written before the next
// event. It copies p. When the session, or the Fanout, is closing it does
// nothing: nobody is to be told anything any more.
func (s *Session) Send(p []byte) error {
	if s.closed || s.loop.closing {
		return nil
	}
	if len(s.out)+len(p) > maxPrivate {
		return ErrPrivate
	}
	s.out = append(s.out, p...)
	s.loop.makeBusy(s)
	return nil
}

// End closes the session soon, for a reason that is not nil.
func (s *Session) End(reason error) {
	if s.closed {
		return
	}
	s.ending = reason
	s.loop.makeBusy(s)
	s.blocked = false
}

// Unsent returns how many private bytes wait.
func (s *Session) Unsent() int { return len(s.out) }

// Activate makes the session receive what is appended from now on and matches
// its subscriptions. Once is enough.
func (s *Session) Activate() {
	if s.active || s.closed || s.loop.closing {
		return
	}
	s.active, s.caught, s.fresh = true, true, true
}

// detach moves the rest of the event that the session is inside of to its
// private bytes, so that it may leave its place in the log. It says no when
// that is too much.
func (s *Session) detach(v *view) bool {
	if s.at.skip == 0 {
		return true
	}
	rest := v.data[v.start(s.at.entry)+s.at.skip : v.start(s.at.entry+1)]
	if len(rest)+len(s.out) > maxPrivate {
		return false
	}
	s.out = append(append([]byte(nil), rest...), s.out...)
	s.at.skip = 0
	s.messages++
	return true
}

// owed says whether the session is still to be sent events, or to be told that
// it lost some.
func (s *Session) owed() bool { return s.active && (!s.caught || s.lost) }

// claims says whether the session may hold up an append.
func (s *Session) claims() bool { return s.active && !s.caught && !s.slow }

// write makes one attempt and returns how much the socket took.
func (s *Session) write(p []byte) (n int, err error) {
	for {
		n, err = unix.Write(s.fd, p)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EAGAIN {
		s.blocked = true
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.sent += uint64(n)
	s.moved = s.loop.now
	if n < len(p) {
		s.blocked = true
	}
	return n, nil
}

// writePrivate writes what it can of the private bytes.
func (s *Session) writePrivate() error {
	n, err := s.write(s.out)
	if err != nil {
		return err
	}
	if n == len(s.out) {
		s.out = nil // idle sessions keep no buffer
		return nil
	}
	s.out = s.out[:copy(s.out, s.out[n:])]
	return nil
}

// readSize bounds one read. What a peer asks for in so many bytes, some thousand
// subscriptions, takes about half a millisecond, which the others wait.
const readSize = 16 << 10

// receive reads and hands over input until the socket is empty, or for a
// while, so that one peer's flood doesn't hold up the others.
func (s *Session) receive() error {
	for i := 0; i < 2 && !s.paused; i++ {
		buf := s.loop.input[:]
		kept := copy(buf, s.in)
		n, err := 0, error(nil)
		again := s.leftover && kept > 0
		if s.leftover = false; !again {
			n, err = unix.Read(s.fd, buf[kept:min(kept+readSize, len(buf))])
		}
		switch {
		case again:
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			s.readable = false
			return nil
		case err != nil:
			return err
		case n == 0:
			return ErrHangup
		}
		p := buf[:kept+n]
		used, err := s.handler.Input(s, p)
		if err != nil {
			return err
		}
		rest := p[used:]
		if len(rest) >= maxUnread {
			return ErrUnread
		}
		s.in = nil // idle sessions keep no buffer
		if len(rest) > 0 {
			s.in = append(s.in, rest...)
		}
	}
	return nil
}
