package fanlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forever ends a test that would hang.
const forever = 20 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(5 * time.Second); code == 0; time.Sleep(time.Millisecond) {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		if !bytes.Contains(buf, []byte("fanlog.(*loop)")) {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", buf)
			code = 1
		}
	}
	os.Exit(code)
}

// The wire of these tests. A frame is the length of what follows in 4 bytes, a
// kind, and: of an event its number in 8 bytes, the length of its topic in one,
// the topic, and bytes that follow from the number; of an acknowledgement the
// number of the request in 4 bytes; of a notice of loss nothing; of a mark the
// offset and the number of events in 8 bytes each; of a resumption whether there
// is one, in one byte, and the offset in 8.
const (
	kindEvent = 'E'
	kindAck   = 'A'
	kindLost  = 'L'
	kindMark  = 'M'
	kindFrom  = 'R'

	minEvent = 4 + 1 + 8 + 1
)

// appendEvent encodes an event of about size bytes.
func appendEvent(dst []byte, number int, topic string, size int) []byte {
	size = max(size, minEvent+len(topic))
	dst = binary.BigEndian.AppendUint32(dst, uint32(size-4))
	dst = append(dst, kindEvent)
	dst = binary.BigEndian.AppendUint64(dst, uint64(number))
	dst = append(dst, byte(len(topic)))
	dst = append(dst, topic...)
	for i := len(topic) + minEvent; i < size; i++ {
		dst = append(dst, byte(number+i))
	}
	return dst
}

func event(number int, topic string, size int) Frame {
	return Frame{Topic: []byte(topic), Parts: [3][]byte{appendEvent(nil, number, topic, size)}}
}

// request is what a test peer asks of its session.
type request struct {
	op   byte   // 's', 'u': exact; 'p', 'q': prefix; 'm': mark; 'r': resume; 'n': nothing
	text string // of 'r': the offset
}

func (r request) apply(s *Session) error {
	switch r.op {
	case 's':
		return s.Subscribe(r.text)
	case 'u':
		s.Unsubscribe(r.text)
	case 'p':
		return s.SubscribePrefix(r.text)
	case 'q':
		s.UnsubscribePrefix(r.text)
	case 'm':
		if offset, messages, whole := s.Position(); whole {
			return s.Send(mark(offset, messages))
		}
	case 'r':
		offset, err := strconv.ParseUint(r.text, 10, 64)
		if err != nil {
			return err
		}
		from := []byte{0, 0, 0, 10, kindFrom, 0}
		if s.Resume(offset) {
			from[5] = 1
		}
		return s.Send(binary.BigEndian.AppendUint64(from, offset))
	}
	return nil
}

func mark(offset, messages uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0, 0, 0, 17, kindMark}, offset)
	return binary.BigEndian.AppendUint64(b, messages)
}

// handler is the service's side of a test peer.
type handler struct {
	quiet    bool // acknowledges nothing
	requests atomic.Int64
	lost     atomic.Int64
	ticks    atomic.Int64
	closed   chan error
}

func newHandler() *handler { return &handler{closed: make(chan error, 1)} }

func (h *handler) Input(s *Session, p []byte) (int, error) {
	used := 0
	for len(p)-used >= 2 && len(p)-used >= 2+int(p[used+1]) {
		r := request{op: p[used], text: string(p[used+2 : used+2+int(p[used+1])])}
		used += 2 + len(r.text)
		s.Activate()
		if err := r.apply(s); err != nil {
			return used, err
		}
		n := h.requests.Add(1)
		if !h.quiet {
			if err := s.Send(ack(int(n))); err != nil {
				return used, err
			}
		}
	}
	return used, nil
}

func ack(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 5, kindAck}, uint32(n))
}

var lossNotice = []byte{0, 0, 0, 1, kindLost}

func (h *handler) Tick(*Session, time.Time) error { h.ticks.Add(1); return nil }
func (h *handler) Lost(s *Session) {
	h.lost.Add(1)
	if err := s.Send(lossNotice); err != nil {
		s.End(err)
	}
}
func (h *handler) Closed(_ *Session, reason error) { h.closed <- reason }

// marker is a handler that makes marks.
type marker struct{ *handler }

func (h marker) Mark(s *Session, offset, messages uint64) {
	if err := s.Send(mark(offset, messages)); err != nil {
		s.End(err)
	}
}

// peer is the other end of a session.
type peer struct {
	t    testing.TB
	h    *handler
	conn *os.File
	fd   int // of conn
	sent int // requests
}

// connect attaches a new session, whose kernel buffers are small unless
// buffer is 0.
func connect(t testing.TB, f *Fanout, buffer int) *peer {
	t.Helper()
	h := newHandler()
	return connectAs(t, f, buffer, h, h)
}

// connectMarked attaches one that is sent marks.
func connectMarked(t testing.TB, f *Fanout, buffer int) *peer {
	t.Helper()
	h := newHandler()
	return connectAs(t, f, buffer, marker{h}, h)
}

func connectAs(t testing.TB, f *Fanout, buffer int, as Handler, h *handler) *peer {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		if buffer > 0 {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer)
		}
	}
	f.Attach(fds[0], as, nil)
	return newPeer(t, fds[1], h)
}

func newPeer(t testing.TB, fd int, h *handler) *peer {
	p := &peer{t: t, h: h, conn: os.NewFile(uintptr(fd), "peer"), fd: fd}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// ask sends a request.
func (p *peer) ask(op byte, text string) {
	p.t.Helper()
	p.sent++
	if _, err := p.conn.Write(append([]byte{op, byte(len(text))}, text...)); err != nil {
		p.t.Fatal(err)
	}
}

// frame reads one frame, body after kind.
func (p *peer) frame() (kind byte, body []byte, err error) {
	var head [5]byte
	if err := p.full(head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-1)
	return head[4], body, p.full(body)
}

func (p *peer) full(buf []byte) error {
	for len(buf) > 0 {
		n, err := p.conn.Read(buf)
		if err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// subscribe asks and waits for the acknowledgement, which is to come next.
func (p *peer) subscribe(op byte, text string) {
	p.t.Helper()
	p.ask(op, text)
	if p.h.quiet {
		return
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(forever)); err != nil {
		p.t.Fatal(err)
	}
	if kind, _, err := p.frame(); err != nil || kind != kindAck {
		p.t.Fatalf("got %c, %v, want an acknowledgement", kind, err)
	}
	_ = p.conn.SetReadDeadline(time.Time{})
}

// next wants an event next and returns its number and whole size.
func (p *peer) next() (number, size int) {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(forever))
	kind, body, err := p.frame()
	if err != nil || kind != kindEvent {
		p.t.Fatalf("got %q %v, want an event", kind, err)
	}
	number, _, err = parseEvent(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return number, len(body) + 5
}

// parseEvent checks every byte.
func parseEvent(body []byte) (number int, topic string, err error) {
	if len(body) < minEvent-5 {
		return 0, "", fmt.Errorf("event of %d bytes", len(body))
	}
	number = int(binary.BigEndian.Uint64(body))
	n := int(body[8])
	topic = string(body[9 : 9+n])
	for i, b := range body[9+n:] {
		if b != byte(number+i+minEvent+n) {
			return 0, "", fmt.Errorf("event %d: byte %d is wrong", number, i)
		}
	}
	return number, topic, nil
}

// discard reads to the end of the stream in a goroutine and counts events.
func (p *peer) discard(wg *sync.WaitGroup, events *atomic.Int64) {
	wg.Go(func() {
		for {
			kind, _, err := p.frame()
			if err != nil {
				return
			}
			if kind == kindEvent && events != nil {
				events.Add(1)
			}
		}
	})
}

func open(t testing.TB, opts Options) *Fanout {
	t.Helper()
	f, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustAppend(t testing.TB, f *Fanout, frames ...Frame) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), forever)
	defer cancel()
	if n, err := f.Append(ctx, frames); err != nil || n != len(frames) {
		t.Fatalf("Append: %d, %v, want %d", n, err, len(frames))
	}
}

// eventually waits for what the loops will do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(forever); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
