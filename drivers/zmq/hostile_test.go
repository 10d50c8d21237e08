package zmq

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// rawHello is what a foreign peer sends up to its first byte of traffic.
func rawHello(kind zmtp.SocketType) []byte {
	p := zmtp.AppendGreeting(nil, "NULL", false)
	return zmtp.AppendCommand(p, zmtp.CommandReady, zmtp.AppendMetadata(nil, zmtp.Metadata{{Name: zmtp.PropertySocketType, Value: string(kind)}}))
}

func frames(more ...string) (p []byte) {
	for i, body := range more {
		p = zmtp.AppendFrame(p, i < len(more)-1, []byte(body))
	}
	return p
}

func oversized(flags byte, size uint64) []byte {
	return []byte{flags | zmtp.FlagLong, byte(size >> 56), byte(size >> 48), byte(size >> 40), byte(size >> 32), byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
}

// half is one that accepts bytes, with a good peer that goes on beside.
type half struct {
	name   string
	theirs zmtp.SocketType // what its peers are
	// open returns how a hostile peer reaches it, and a check that the good
	// peer gets through.
	open func(t *testing.T, ctx context.Context, edit ...func(*driver.Config)) (status func() driver.Status, reach func() net.Conn, good func())
}

var halves = []half{
	{"PUB", zmtp.Sub, func(t *testing.T, ctx context.Context, edit ...func(*driver.Config)) (func() driver.Status, func() net.Conn, func()) {
		pub := openPub(t, ctx, edit...)
		sub := openSub(t, ctx)
		meet(t, ctx, sub, uri(pub), "T")
		n := 0
		return pub.Status, func() net.Conn { return dial(t, pub.Addr()) }, func() {
			n++
			publish(t, ctx, pub, "T", fmt.Sprint(n))
			wantMessages(t, receive(t, ctx, sub, 1), fmt.Sprint("T ", n))
		}
	}},
	{"PULL", zmtp.Push, func(t *testing.T, ctx context.Context, edit ...func(*driver.Config)) (func() driver.Status, func() net.Conn, func()) {
		socket := shortDir(t) + "/s"
		pull := openPull(t, ctx, socket, edit...)
		push := openPush(t, ctx, socket)
		n := 0
		return pull.Status, func() net.Conn { return dial(t, pull.Addr()) }, func() {
			n++
			publish(t, ctx, push, "T", fmt.Sprint(n))
			for { // what the hostile ones got through comes in between
				if got := receive(t, ctx, pull, 1); got[0] == fmt.Sprint("T ", n) {
					return
				}
			}
		}
	}},
	{"SUB", zmtp.Pub, func(t *testing.T, ctx context.Context, edit ...func(*driver.Config)) (func() driver.Status, func() net.Conn, func()) {
		pub := openPub(t, ctx)
		sub := openSub(t, ctx, append(edit, quick)...)
		meet(t, ctx, sub, uri(pub), "T")
		l := listen(t, "tcp", "127.0.0.1:0")
		n := 0
		return sub.Status, func() net.Conn { sub.Connect(addrURI(l.Addr())); return accept(t, l) }, func() {
			n++
			publish(t, ctx, pub, "T", fmt.Sprint(n))
			for {
				if got := receive(t, ctx, sub, 1); got[0] == fmt.Sprint("T ", n) {
					return
				}
			}
		}
	}},
	{"PUSH", zmtp.Pull, func(t *testing.T, ctx context.Context, edit ...func(*driver.Config)) (func() driver.Status, func() net.Conn, func()) {
		l := listen(t, "unix", shortDir(t)+"/s")
		push := openPush(t, ctx, l.Addr().String(), append(edit, quick)...)
		publish(t, ctx, push, "T", "first")
		return push.Status, func() net.Conn { return accept(t, l) }, func() { publish(t, ctx, push, "T", "next") }
	}},
}

func dial(t testing.TB, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, c)
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Now().Add(patience))
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, c)
}

func bounded(t testing.TB, c net.Conn) net.Conn {
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// wantEnd reads until the other side ends the connection.
func wantEnd(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatal("the connection was not closed")
	}
}

func TestX1Hostile(t *testing.T) {
	big := uint64(1<<20 + 65)
	shake := func(k zmtp.SocketType, more ...[]byte) []byte { return append(rawHello(k), bytes.Join(more, nil)...) }
	wrong := map[zmtp.SocketType]zmtp.SocketType{zmtp.Sub: zmtp.Push, zmtp.Push: zmtp.Sub, zmtp.Pub: zmtp.Pull, zmtp.Pull: zmtp.Pub}
	cases := []struct {
		name   string
		send   func(k zmtp.SocketType) []byte
		reason string
		halves string // default: all
	}{
		{"garbage", func(zmtp.SocketType) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }, "signature", ""},
		{"ZMTP 1.0", func(zmtp.SocketType) []byte { return []byte{1, 0, 1, 0, 'x'} }, "version", ""},
		{"ZMTP 2.0", func(zmtp.SocketType) []byte {
			return append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 2, 0, 0}, make([]byte, 60)...)
		}, "version", ""},
		{"wrong socket type", func(k zmtp.SocketType) []byte { return rawHello(wrong[k]) }, "socket type", ""},
		{"2^63", func(k zmtp.SocketType) []byte { return shake(k, oversized(0, 1<<63)) }, "2^63", ""},
		{"over the limit", func(k zmtp.SocketType) []byte { return shake(k, frames("T", "")[:3], oversized(0, big)) }, "too large", "PULL SUB"},
		{"long topic", func(k zmtp.SocketType) []byte { return shake(k, oversized(zmtp.FlagMore, maxTopic+1)) }, "too large", ""},
		{"reserved flags", func(k zmtp.SocketType) []byte { return shake(k, []byte{0x80, 0}) }, "reserved bits", ""},
		{"command inside a message", func(k zmtp.SocketType) []byte {
			return shake(k, zmtp.AppendFrame(nil, true, []byte("T")), zmtp.AppendPing(nil, 0, nil))
		}, "command inside", "PUB PULL SUB"},
		{"command inside a long message", func(k zmtp.SocketType) []byte {
			return shake(k, frames("a", "b", "c", "")[:9], zmtp.AppendPing(nil, 0, nil))
		}, "command inside", "PUB PULL SUB"},
		{"message to one who sends", func(k zmtp.SocketType) []byte { return shake(k, frames("T", "x")) }, "none to send", "PUSH"},
		{"bad command", func(k zmtp.SocketType) []byte { return shake(k, zmtp.AppendFrameHeader(nil, zmtp.FlagCommand, 0)) }, "command", ""},
		{"long PING", func(k zmtp.SocketType) []byte {
			return shake(k, zmtp.AppendCommand(nil, zmtp.CommandPing, make([]byte, 19)))
		}, "heartbeat", ""},
		{"long subscription", func(k zmtp.SocketType) []byte {
			return shake(k, zmtp.AppendSubscribe(nil, 1, bytes.Repeat([]byte("x"), 256)))
		}, "longer than any topic", "PUB"},
		{"too many subscriptions", func(k zmtp.SocketType) (p []byte) {
			p = rawHello(k)
			for i := range 11 {
				p = zmtp.AppendSubscribe(p, 1, fmt.Append(nil, i))
			}
			return p
		}, "too many subscriptions", "PUB"},
		{"silence", func(zmtp.SocketType) []byte { return nil }, "not completed in time", ""},
		{"half a handshake", func(k zmtp.SocketType) []byte { return rawHello(k)[:70] }, "not completed in time", ""},
	}
	for _, h := range halves {
		for _, c := range cases {
			if c.halves != "" && !strings.Contains(" "+c.halves+" ", " "+h.name+" ") {
				continue
			}
			t.Run(h.name+"/"+c.name, func(t *testing.T) {
				ctx := begin(t)
				var book logBook
				status, reach, good := h.open(t, ctx, book.use, func(cfg *driver.Config) {
					cfg.MaxSubscriptions = 10
					cfg.HandshakeTimeout = 300 * time.Millisecond
				})
				conn := reach()
				good()
				if _, err := conn.Write(c.send(h.theirs)); err != nil {
					t.Logf("closed while it was sent to: %v", err)
				}
				wantEnd(t, conn)
				book.waitFor(t, c.reason)
				if !strings.Contains(book.String(), "peer=") {
					t.Errorf("no origin in the log: %s", book.String())
				}
				if st := status(); st.Refused == 0 {
					t.Errorf("not counted: %+v", st)
				}
				good()
			})
		}
	}
}

// Messages of a wrong shape are skipped, counted and logged; what follows on
// the same connection counts.
func TestMalformed(t *testing.T) {
	ctx := begin(t)
	var book logBook
	pull := openPull(t, ctx, shortDir(t)+"/s", book.use)
	conn := dial(t, pull.Addr())
	p := rawHello(zmtp.Push)
	p = append(p, frames("alone")...)
	p = append(p, frames("a", "b", "c")...)
	p = append(p, frames("a", "b", "c", strings.Repeat("d", 10000), "e")...)
	p = append(p, frames("T", "good")...)
	for i := range p { // and byte by byte
		if _, err := conn.Write(p[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	wantMessages(t, receive(t, ctx, pull, 1), "T good")
	if st := pull.Status(); st.Malformed != 3 || st.Refused != 0 || st.Peers != 1 {
		t.Errorf("status %+v, want 3 malformed of 1 peer", st)
	}
	for _, text := range []string{"one frame", "more than two frames", "peer="} {
		book.waitFor(t, text)
	}
}

// A peer that asks and never reads the answers is left, on each half.
func TestPingFlood(t *testing.T) {
	for _, h := range halves {
		t.Run(h.name, func(t *testing.T) {
			ctx := begin(t)
			var book logBook
			// It would not be read for long otherwise: who floods waits.
			_, reach, good := h.open(t, ctx, book.use, func(c *driver.Config) { c.MaxSubscriptions = 1 << 24 })
			conn := reach()
			if _, err := conn.Write(rawHello(h.theirs)); err != nil {
				t.Fatal(err)
			}
			flood := bytes.Repeat(zmtp.AppendPing(nil, 0, []byte("0123456789abcdef")), 1000)
			for ctx.Err() == nil {
				if _, err := conn.Write(flood); err != nil {
					break
				}
			}
			book.waitFor(t, "does not read")
			if err := ctx.Err(); err != nil {
				t.Fatal("the flood was not ended")
			}
			good()
		})
	}
}

// More connections than MaxPeers are closed at once, and room comes back. A
// connection that has not introduced itself makes room.
func TestMaxPeers(t *testing.T) {
	for _, h := range halves[:2] {
		t.Run(h.name, func(t *testing.T) {
			ctx := begin(t)
			var book logBook
			status, reach, good := h.open(t, ctx, book.use, func(c *driver.Config) { c.MaxPeers = 3 })
			good()
			silent := reach()
			if _, err := io.ReadFull(silent, make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			introduce := func() net.Conn {
				conn := reach()
				if _, err := conn.Write(rawHello(h.theirs)); err != nil {
					t.Fatal(err)
				}
				return conn
			}
			first := introduce()
			introduce()
			wantEnd(t, silent)
			book.waitFor(t, "made room")
			eventually(t, "three peers", func() bool { return status().Peers == 3 })
			wantEnd(t, reach())
			book.waitFor(t, " already")
			if st := status(); st.Peers != 3 || st.Refused != 2 {
				t.Errorf("status %+v, want 3 introduced and 2 refused", st)
			}
			first.Close()
			eventually(t, "room", func() bool {
				conn := reach()
				_, err := io.ReadFull(conn, make([]byte, 64))
				conn.Close()
				return err == nil
			})
			good()
		})
	}
}

// What a worker wrote before it went is received, although answers to it can't
// be written any more.
func TestGoneAfterPing(t *testing.T) {
	ctx := begin(t)
	pull := openPull(t, ctx, shortDir(t)+"/s")
	for range 20 {
		conn := dial(t, pull.Addr())
		if _, err := conn.Write(rawHello(zmtp.Push)); err != nil {
			t.Fatal(err)
		}
		// The handshake first: it needs its answers.
		if _, err := io.ReadFull(conn, make([]byte, len(rawHello(zmtp.Pull)))); err != nil {
			t.Fatal(err)
		}
		// More than the service takes in before somebody receives, less than
		// what the kernel holds besides.
		const count = 900
		filler := strings.Repeat("f", 180)
		var p []byte
		for i := range count {
			p = zmtp.AppendPing(p, 0, nil)
			p = zmtp.AppendMessage2(p, []byte("T"), fmt.Append(nil, i, filler))
		}
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		got := receive(t, ctx, pull, count)
		if last := got[count-1]; !strings.HasPrefix(last, "T 899") {
			t.Fatalf("the last is %.20q", last)
		}
	}
}
