package zmq

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// pair returns the two ends of a connection.
func pair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// heard is what came of a stream.
type heard struct {
	messages  []string
	malformed uint64
	reason    string
}

// hear reads a stream that comes in pieces of the given sizes, and then in one,
// as a link does.
func hear(t testing.TB, stream, cuts []byte) (h heard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	here, there := pair(t)
	cfg := driver.Config{}.WithDefaults()
	k := newLink(here, &cfg, zmtp.Peer{Major: 3, Minor: 1})
	var malformed atomic.Uint64
	k.malformed, k.report = &malformed, &refusals{log: cfg.Log}
	in := newInbox()
	var wg sync.WaitGroup
	wg.Go(func() {
		k.read(in, nil, 1000, nil)
		k.close(errClosed)
		close(in.drained)
	})
	wg.Go(func() {
		for _, n := range cuts {
			n := min(int(n), len(stream))
			if _, err := there.Write(stream[:n]); err != nil {
				return
			}
			stream = stream[n:]
		}
		_, _ = there.Write(stream) // the link may have had enough
		_ = there.CloseWrite()
	})
	for batch := make([]driver.Message, 16); ; {
		n, err := in.receive(ctx, batch)
		for _, m := range batch[:n] {
			h.messages = append(h.messages, string(m.Topic)+" "+string(m.Payload))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the stream did not end: %v", err)
		}
	}
	wg.Wait()
	h.malformed, h.reason = malformed.Load(), k.reason.Error()
	return h
}

// Any stream, in any pieces, gives the same messages and the same end.
func FuzzStream(f *testing.F) {
	good := zmtp.AppendMessage2(nil, []byte("topic"), []byte("payload"))
	f.Add(good, []byte{0})
	f.Add(slices.Concat(good, good[:5]), []byte{1, 1, 1})
	f.Add(slices.Concat(frames("alone"), frames("a", "b", "c"), good), []byte{9})
	f.Add(slices.Concat(good, zmtp.AppendPing(nil, 0, []byte("x")), good), []byte{3, 20})
	f.Add(slices.Concat(good, zmtp.AppendError(nil, "no")), []byte{})
	f.Add(slices.Concat(good, oversized(0, 1<<63)), []byte{14, 1})
	f.Add(slices.Concat(good, oversized(zmtp.FlagMore, 1<<40)), []byte{14, 1})
	f.Add(slices.Concat(frames("T", "")[:3], oversized(0, 999)), []byte{2})
	f.Add(slices.Concat(frames("T", "")[:3], oversized(0, 1001)), []byte{2})
	f.Add(append(zmtp.AppendFrame(nil, true, []byte("T")), zmtp.AppendPing(nil, 0, nil)...), []byte{5})
	f.Add([]byte{0x80, 0}, []byte{1})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		whole, sliced := hear(t, stream, nil), hear(t, stream, cuts)
		if !slices.Equal(whole.messages, sliced.messages) || whole.malformed != sliced.malformed || whole.reason != sliced.reason {
			t.Fatalf("whole:  %+v\nsliced: %+v", whole, sliced)
		}
		for _, m := range whole.messages {
			if len(m) > maxTopic+1+1000 {
				t.Fatalf("a message of %d bytes", len(m))
			}
		}
	})
}

// Whatever a subscriber sends after its handshake: it is answered or ended, and
// another one gets its events.
func FuzzPeer(f *testing.F) {
	for _, h := range [][]byte{
		zmtp.AppendSubscribe(nil, 1, []byte("T")),
		slices.Concat(zmtp.AppendSubscribe(nil, 0, []byte("T")), zmtp.AppendCancel(nil, 0, []byte("T")), zmtp.AppendCancel(nil, 1, []byte("T"))),
		slices.Concat(zmtp.AppendSubscribe(nil, 1, nil), zmtp.AppendCancel(nil, 1, nil), zmtp.AppendCancel(nil, 1, nil)),
		slices.Concat(frames("a", "b", "c"), frames("x"), frames("")),
		zmtp.AppendPing(nil, time.Second, []byte("0123456789abcdef")),
		zmtp.AppendError(nil, "no"),
		zmtp.AppendCommand(nil, "UNKNOWN", []byte("x")),
		oversized(0, 1<<63),
		oversized(zmtp.FlagCommand, maxRequest+1),
		zmtp.AppendSubscribe(nil, 1, make([]byte, 256)),
	} {
		f.Add(h, true)
		f.Add(h, false)
	}
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "zq")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	pub := openPub(f, ctx, func(c *driver.Config) { c.Transport, c.BindAddress, c.MaxSubscriptions = "ipc", dir+"/s", 100 })
	good := openSub(f, ctx)
	meet(f, ctx, good, uri(pub), "T")
	f.Fuzz(func(t *testing.T, p []byte, ours bool) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn := dial(t, pub.Addr()).(*net.UnixConn)
		var properties []zmtp.Property
		if ours {
			properties = []zmtp.Property{{Name: propertyPeer, Value: peerVersion}}
		}
		foreign(t, conn, zmtp.Sub, 1, properties...)
		_, _ = conn.Write(p) // it may be thrown out for the beginning
		publish(t, ctx, pub, "T", "x")
		wantMessages(t, receive(t, ctx, good, 1), "T x")
		_ = conn.CloseWrite()
		wantEnd(t, conn)
	})
}

// What a peer announces costs nothing until it has come.
func TestX1AnnouncedLengths(t *testing.T) {
	const conns, limit, sent = 50, 64 << 20, chunkSize + 1000
	ctx := begin(t)
	pull := openPull(t, ctx, shortDir(t)+"/s", func(c *driver.Config) { c.MaxPayload = limit })
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range conns {
		conn := dial(t, pull.Addr())
		p := append(rawHello(zmtp.Push), zmtp.AppendFrame(nil, true, []byte("T"))...)
		p = append(p, oversized(0, limit)...)
		if _, err := conn.Write(append(p, make([]byte, sent)...)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are connected, and what they sent is read", func() bool {
		return pull.Status().Peers == conns && heap() > before+conns*sent
	})
	if grown := heap() - before; grown > conns*6*sent {
		t.Errorf("%d connections that sent %d bytes and announced %d cost %d bytes", conns, sent, limit, grown)
	}
	if st := pull.Status(); st.Refused > 0 {
		t.Errorf("status %+v", st)
	}
}
