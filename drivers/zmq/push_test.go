package zmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// A worker connects with its first event, not before.
func TestLazyConnect(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	push := openPush(t, ctx, socket)
	pull := openPull(t, ctx, socket)
	if push.started {
		t.Error("connects before the first event")
	}
	if err := push.Flush(ctx); err != nil {
		t.Errorf("Flush of nothing: %v", err)
	}
	publish(t, ctx, push, "T", "x")
	wantMessages(t, receive(t, ctx, pull, 1), "T x")
}

// Without a service the queue fills, to its bound; then Publish blocks until
// its context ends and says why. When the service comes nothing is lost.
func TestQueueFull(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	push := openPush(t, ctx, socket, quick, func(c *driver.Config) { c.Queue = 10000 })
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	accepted := 0
	var err error
	for err == nil {
		_, err = push.Publish(short, []driver.Message{message("T", fmt.Sprint(accepted))})
		if err == nil {
			accepted++
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish: %v", err)
	}
	wantRefusal(t, "Publish", err, "can't be reached", "running on this host?")
	if st := push.Status(); st.Retained > 10000 || st.Retained < 9900 || st.Messages != uint64(accepted) {
		t.Errorf("status %+v after %d", st, accepted)
	}
	if err := push.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
	pull := openPull(t, ctx, socket)
	for i, got := range receive(t, ctx, pull, accepted) {
		if got != fmt.Sprint("T ", i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	if err := push.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

// Services come and go by Drain while a worker publishes: every event is
// received once, in order.
func TestServiceRestarts(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	push := openPush(t, ctx, socket, quick, func(c *driver.Config) { c.Queue = 1 << 20 })
	const count = 60000
	filler := strings.Repeat("f", 100)
	failed := make(chan error, 1)
	go func() {
		for i := range count {
			if _, err := push.Publish(ctx, []driver.Message{message("T", fmt.Sprintf("%d %s", i, filler))}); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	got, services := 0, 0
	batch := make([]driver.Message, 100)
	for got < count {
		pull := openPull(t, ctx, socket)
		services++
		until := got + 7000
		for drained := false; ; {
			n, err := pull.Receive(ctx, batch)
			if err == io.EOF && drained {
				break
			}
			if err != nil {
				t.Fatalf("Receive after %d: %v", got, err)
			}
			for _, m := range batch[:n] {
				if want := fmt.Sprintf("%d %s", got, filler); string(m.Payload) != want {
					t.Fatalf("service %d: got %.12q, want %.12q", services, m.Payload, want)
				}
				got++
			}
			if !drained && (got >= until || got == count) {
				drained = true
				pull.Drain()
			}
		}
		pull.Close()
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if services < 3 {
		t.Errorf("only %d services were needed: no restart was met", services)
	}
}

// A Flush whose service is killed before it confirms doesn't claim success.
func TestFlushUnconfirmed(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	l := listen(t, "unix", socket)
	push := openPush(t, ctx, socket, quick)
	publish(t, ctx, push, "T", "lost")
	conn := accept(t, l)
	r := foreign(t, conn, zmtp.Pull, 1)
	r.message()
	flushed := make(chan error, 1)
	go func() { flushed <- push.Flush(ctx) }()
	for f := r.frame(); !f.Command; f = r.frame() { // the PING of the Flush
	}
	conn.Close()
	l.Close()
	os.Remove(socket)
	openPull(t, ctx, socket)
	if err := <-flushed; !errors.Is(err, errUnconfirmed) {
		t.Errorf("Flush: %v", err)
	}
	if err := push.Flush(ctx); err != nil {
		t.Errorf("the next Flush: %v", err)
	}
}

func TestUnsent(t *testing.T) {
	var batch []byte
	var ends []int
	for i := range 20 {
		batch = zmtp.AppendMessage2(batch, []byte("topic"), make([]byte, i*40))
		ends = append(ends, len(batch))
	}
	for n := 0; n <= len(batch); n++ {
		want := 0
		for _, end := range ends {
			if end <= n {
				want = end
			}
		}
		if got := len(batch) - len(unsent(batch, n)); got != want {
			t.Fatalf("after %d bytes: %d are not sent again, want %d", n, got, want)
		}
	}
}

// A worker that floods fills its own credit: another one's events are not kept
// waiting behind everything that it sent.
func TestFairness(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	pull := openPull(t, ctx, socket)
	flooder, quiet := openPush(t, ctx, socket), openPush(t, ctx, socket)
	flood := message("flood", strings.Repeat("f", 1000))
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	sent := 0
	for {
		if _, err := flooder.Publish(short, []driver.Message{flood}); err != nil {
			break
		}
		sent++
	}
	publish(t, ctx, quiet, "quiet", "x")
	eventually(t, "the quiet worker's event", func() bool { return len(pull.in.ready) > credit })
	before := 0
	for receive(t, ctx, pull, 1)[0] != "quiet x" {
		before++
	}
	if before > 200 {
		t.Errorf("%d events came before it, want 200 at most, three chunks, of %d", before, sent)
	}
}

// Small messages that nobody receives yet don't keep a Flush from knowing that
// they are in the service.
func TestFlushWithoutReceive(t *testing.T) {
	ctx := begin(t)
	socket := shortDir(t) + "/s"
	pull := openPull(t, ctx, socket)
	push := openPush(t, ctx, socket)
	var want []string
	for i := range 50 {
		publish(t, ctx, push, "T", fmt.Sprint(i))
		if err := push.Flush(ctx); err != nil {
			t.Fatalf("Flush %d: %v", i, err)
		}
		want = append(want, fmt.Sprint("T ", i))
	}
	wantMessages(t, receive(t, ctx, pull, 50), want...)
}

// A connection that ends inside a message, at whatever byte, is over.
func TestTornMessage(t *testing.T) {
	ctx := begin(t)
	pull := openPull(t, ctx, shortDir(t)+"/s")
	p := zmtp.AppendMessage2(nil, []byte("T"), make([]byte, 300))
	for _, whole := range [][]byte{nil, p} {
		for _, n := range []int{1, 2, 3, 8, 100, len(p) - 1} {
			r := foreign(t, dial(t, pull.Addr()), zmtp.Push, 1)
			eventually(t, "the connection", func() bool { return pull.Status().Peers == 1 })
			if _, err := r.conn.Write(append(whole[:len(whole):len(whole)], p[:n]...)); err != nil {
				t.Fatal(err)
			}
			r.conn.Close()
			eventually(t, "its end", func() bool { return pull.Status().Peers == 0 })
		}
	}
	got := receive(t, ctx, pull, 18)
	if n := len(slices.DeleteFunc(got, func(m string) bool { return m != " " })); n != 12 {
		t.Errorf("%d notices, want one for each", n)
	}
	if st := pull.Status(); st.Messages != 6 || st.Malformed != 0 {
		t.Errorf("status %+v", st)
	}
}

// Drain with workers in every state: connected and idle, in the handshake,
// inside a message.
func TestDrainStates(t *testing.T) {
	ctx := begin(t)
	pull := openPull(t, ctx, shortDir(t)+"/s")
	foreign(t, dial(t, pull.Addr()), zmtp.Push, 1)
	dial(t, pull.Addr())
	torn := foreign(t, dial(t, pull.Addr()), zmtp.Push, 1)
	p := zmtp.AppendMessage2(nil, []byte("T"), []byte("whole"))
	if _, err := torn.conn.Write(append(p, p[:5]...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connections", func() bool { return pull.Status().Peers == 2 })
	pull.Drain()
	pull.Drain()
	if _, err := torn.conn.Write(p[5:]); err != nil {
		t.Errorf("what it had begun: %v", err)
	}
	// Neither of them goes when it is told to, so that something may be lost,
	// which is what the notices say.
	wantMessages(t, receive(t, ctx, pull, 4), "T whole", "T whole", " ", " ")
	for range 2 {
		if _, err := pull.Receive(ctx, make([]driver.Message, 1)); err != io.EOF {
			t.Errorf("Receive: %v, want io.EOF", err)
		}
	}
	if _, err := torn.conn.Write(p); err == nil {
		t.Error("a drained service still takes events")
	}
	if _, err := net.Dial("unix", pull.Addr().String()); err == nil {
		t.Error("a drained service still accepts")
	}
}
