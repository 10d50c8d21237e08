package zmq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// reader takes frames from a connection.
type reader struct {
	t    testing.TB
	conn net.Conn
	buf  []byte
}

func (r *reader) frame() zmtp.Frame {
	r.t.Helper()
	for {
		f, n, _, err := zmtp.ParseFrame(r.buf, 1<<20)
		if err != nil {
			r.t.Fatal(err)
		}
		if n > 0 {
			r.buf = r.buf[n:]
			return f
		}
		p := make([]byte, 64<<10)
		k, err := r.conn.Read(p)
		if err != nil {
			r.t.Fatalf("read: %v", err)
		}
		r.buf = append(r.buf, p[:k]...)
	}
}

// message returns the next message, as topic, a space, payload. Commands are
// passed over.
func (r *reader) message() string {
	r.t.Helper()
	f := r.frame()
	for f.Command {
		f = r.frame()
	}
	return string(f.Body) + " " + string(r.frame().Body)
}

// foreign completes a handshake as a peer that is not ours.
func foreign(t testing.TB, conn net.Conn, kind zmtp.SocketType, minor byte, properties ...zmtp.Property) *reader {
	t.Helper()
	hello := zmtp.AppendGreeting(nil, "NULL", false)
	hello[11] = minor
	hello = zmtp.AppendCommand(hello, zmtp.CommandReady, zmtp.AppendMetadata(nil,
		append(zmtp.Metadata{{Name: zmtp.PropertySocketType, Value: string(kind)}}, properties...)))
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, zmtp.GreetingSize)); err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, conn: conn}
	if f := r.frame(); !f.Command || !bytes.HasPrefix(f.Body, []byte("\x05READY")) {
		t.Fatalf("got %q, want READY", f.Body)
	}
	return r
}

// subscribe asks as that peer, and waits until it is in force.
func (r *reader) subscribe(minor byte, topics ...string) {
	r.t.Helper()
	var p []byte
	for _, topic := range topics {
		p = zmtp.AppendSubscribe(p, minor, []byte(topic))
	}
	if _, err := r.conn.Write(zmtp.AppendPing(p, 0, []byte("sub"))); err != nil {
		r.t.Fatal(err)
	}
	for !bytes.HasSuffix(r.frame().Body, []byte("PONGsub")) {
	}
}

// For foreign subscribers a topic is a prefix, for ours a name.
func TestPrefixes(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	all := []string{"a", "ab", "abc", "b", "D", "Data"}
	for _, c := range []struct {
		name       string
		minor      byte
		properties []zmtp.Property
		topics     []string
		want       []string
	}{
		{"3.1", 1, nil, []string{"ab", "D"}, []string{"ab", "abc", "D", "Data"}},
		{"3.0", 0, nil, []string{"ab"}, []string{"ab", "abc"}},
		{"everything", 1, nil, []string{""}, all},
		{"ours", 1, []zmtp.Property{{Name: propertyPeer, Value: "1"}}, []string{"ab", "D"}, []string{"ab", "D"}},
		{"ours, everything", 1, []zmtp.Property{{Name: propertyPeer, Value: "1"}}, []string{""}, all},
	} {
		r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, c.minor, c.properties...)
		r.subscribe(c.minor, c.topics...)
		for _, topic := range all {
			publish(t, ctx, pub, topic, "x")
		}
		for _, topic := range c.want {
			if got := r.message(); got != topic+" x" {
				t.Errorf("%s: got %q, want %q", c.name, got, topic+" x")
			}
		}
		r.conn.Close()
	}
}

// Names that begin with other names are told apart, in every pair: when both
// are held, when one is given up again, by peers of every kind.
func TestX3PrefixConfusion(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	all := []string{"a", "ab", "D", "Data"}
	match := func(ours bool, held, topic string) bool {
		return held == topic || !ours && strings.HasPrefix(topic, held)
	}
	kinds := []struct {
		name  string
		minor byte
		ours  bool
	}{{"3.0", 0, false}, {"3.1", 1, false}, {"ours", 1, true}}
	for _, first := range all {
		for _, second := range all {
			for _, k := range kinds {
				var properties []zmtp.Property
				if k.ours {
					properties = []zmtp.Property{{Name: propertyPeer, Value: peerVersion}}
				}
				r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, k.minor, properties...)
				for _, step := range []struct {
					subscribe, cancel string
					held              []string
				}{
					{first, "", []string{first}},
					{second, "", []string{first, second}},
					{"", first, []string{second}},
				} {
					if first == second && step.cancel != "" && k.ours {
						step.held = nil // a name is held once, a prefix as often as it was asked for
					}
					if step.cancel != "" {
						if _, err := r.conn.Write(zmtp.AppendCancel(nil, k.minor, []byte(step.cancel))); err != nil {
							t.Fatal(err)
						}
					}
					if step.subscribe != "" {
						r.subscribe(k.minor, step.subscribe)
					}
					r.subscribe(k.minor, "end")
					var want []string
					for _, topic := range all {
						publish(t, ctx, pub, topic, "x")
						if slices.ContainsFunc(step.held, func(held string) bool { return match(k.ours, held, topic) }) {
							want = append(want, topic+" x")
						}
					}
					publish(t, ctx, pub, "end", "x")
					var got []string
					for len(got) == 0 || got[len(got)-1] != "end x" {
						got = append(got, r.message())
					}
					if got = got[:len(got)-1]; !slices.Equal(got, want) {
						t.Errorf("%s, %q and %q: with %q held it got %q, want %q", k.name, first, second, step.held, got, want)
					}
				}
				r.conn.Close()
			}
		}
	}
}

// Both halves of ours together.
func TestX3OwnSubscriber(t *testing.T) {
	ctx := begin(t)
	all := []string{"a", "ab", "D", "Data"}
	pub := openPub(t, ctx)
	for _, held := range all {
		sub := openSub(t, ctx)
		meet(t, ctx, sub, uri(pub), held, "end")
		for _, topic := range append(all, "end") {
			publish(t, ctx, pub, topic, "x")
		}
		wantMessages(t, receive(t, ctx, sub, 2), held+" x", "end x")
		sub.Close()
	}
}

func TestAllTopics(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	sub := openSub(t, ctx, func(c *driver.Config) { c.AllTopics = true })
	meet(t, ctx, sub, uri(pub))
	publish(t, ctx, pub, "any", "x")
	wantMessages(t, receive(t, ctx, sub, 1), "any x")
}

// A stream may be cut anywhere.
func TestN7ByteByByte(t *testing.T) {
	ctx := begin(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	sub := openSub(t, ctx)
	if err := sub.Connect(addrURI(l.Addr())); err != nil {
		t.Fatal(err)
	}
	conn := accept(t, l)
	go io.Copy(io.Discard, conn)
	want := []string{"T ", "T " + strings.Repeat("x", 300), "T y"}
	p := rawHello(zmtp.Pub)
	for _, m := range want {
		p = zmtp.AppendPing(p, 0, nil)
		p = zmtp.AppendMessage2(p, []byte("T"), []byte(m[2:]))
	}
	for i := range p {
		if _, err := conn.Write(p[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	wantMessages(t, receive(t, ctx, sub, 3), want...)
}

// Messages around every size at which buffers grow arrive whole, in order.
func TestStreamSizes(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	sub := openSub(t, ctx)
	meet(t, ctx, sub, uri(pub), "T")
	var want []int
	for _, size := range []int{0, 1, parkSize, chunkSize, 4 * chunkSize, 1 << 20} {
		for d := -12; d <= 12; d += 3 {
			if size+d >= 0 && size+d <= 1<<20 {
				want = append(want, size+d, 7)
			}
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i, size := range want {
			pub.Publish(ctx, []driver.Message{{Topic: []byte("T"), Payload: bytes.Repeat([]byte{byte(i)}, size)}})
		}
	}()
	batch := make([]driver.Message, 3)
	for i := 0; i < len(want); {
		n, err := sub.Receive(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range batch[:n] {
			if !bytes.Equal(m.Payload, bytes.Repeat([]byte{byte(i)}, want[i])) {
				t.Fatalf("message %d of %d bytes arrived as %d others", i, want[i], len(m.Payload))
			}
			i++
		}
	}
	<-sent
	if _, err := pub.Publish(ctx, []driver.Message{{Topic: []byte("T"), Payload: make([]byte, 1<<20+1)}}); !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("1 MiB and a byte: %v", err)
	}
}

// A publisher that goes and comes back on the same port is found again, and is
// told the topics as they are by then.
func TestReconnect(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	port := pub.Addr().(*net.TCPAddr).Port
	sub := openSub(t, ctx, quick)
	meet(t, ctx, sub, uri(pub), "kept", "dropped")
	for round := range 5 {
		pub.Close()
		eventually(t, "the loss", func() bool { return sub.Status().Peers == 0 })
		added := fmt.Sprint("added", round)
		if err := sub.Subscribe(ctx, added); err != nil {
			t.Fatal(err)
		}
		if err := sub.Unsubscribe(ctx, "dropped"); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
		if err := sub.Await(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("Await without a publisher: %v", err)
		}
		cancel()
		pub = openPub(t, ctx, func(c *driver.Config) { c.Port = port })
		if err := sub.Await(ctx); err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"dropped", added, "kept"} {
			publish(t, ctx, pub, topic, "x")
		}
		// The first is the notice that something may be missing: this publisher
		// has no epoch.
		wantMessages(t, receive(t, ctx, sub, 3), " ", added+" x", "kept x")
		if err := sub.Subscribe(ctx, "dropped"); err != nil {
			t.Fatal(err)
		}
	}
}

// Attempts are spread: never next to nothing apart, and further and further.
func TestReconnectDelays(t *testing.T) {
	ctx := begin(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	sub := openSub(t, ctx, func(c *driver.Config) { c.ReconnectMin, c.ReconnectMax = 20*time.Millisecond, 160*time.Millisecond })
	if err := sub.Connect(addrURI(l.Addr())); err != nil {
		t.Fatal(err)
	}
	var at []time.Time
	for range 6 {
		c := accept(t, l)
		at = append(at, time.Now())
		c.Write([]byte("nonsense"))
		c.Close()
	}
	for i, low := range []int{10, 20, 40, 80, 80} {
		// The clock here starts when the attempt was accepted, not made.
		if gap := at[i+1].Sub(at[i]); gap < time.Duration(low-5)*time.Millisecond {
			t.Errorf("attempt %d came %s after the one before, want %d ms at least", i+2, gap, low)
		}
	}
}

// Disconnect at every stage of connecting leaves nothing behind.
func TestDisconnect(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx)
	silent := listen(t, "tcp", "127.0.0.1:0")
	sub := openSub(t, ctx, quick)
	for i := range 100 {
		if err := sub.Connect(uri(pub)); err != nil {
			t.Fatal(err)
		}
		if err := sub.Connect(addrURI(silent.Addr())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		for _, u := range []string{uri(pub), addrURI(silent.Addr())} {
			if err := sub.Disconnect(u); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sub.Await(ctx); err != nil {
		t.Errorf("Await of nobody: %v", err)
	}
	eventually(t, "the end of all connections", func() bool { return pub.Status().Peers == 0 && pub.fan.Stats().Sessions == 0 })
	meet(t, ctx, sub, uri(pub), "T")
	publish(t, ctx, pub, "T", "x")
	wantMessages(t, receive(t, ctx, sub, 1), "T x")
}

// A publisher that stops, with its connection open, is left; also while this
// side can't get its subscriptions across.
func TestSilentPublisher(t *testing.T) {
	for _, many := range []int{1, 50000} {
		ctx := begin(t)
		l := listen(t, "unix", shortDir(t)+"/s")
		sub := openSub(t, ctx, quick, func(c *driver.Config) {
			c.HeartbeatInterval, c.HeartbeatTimeout = 50*time.Millisecond, 200*time.Millisecond
		})
		topics := make([]string, many)
		for i := range topics {
			topics[i] = fmt.Sprint("a topic with a number, ", i)
		}
		if err := sub.Subscribe(ctx, topics...); err != nil {
			t.Fatal(err)
		}
		if err := sub.Connect(addrURI(l.Addr())); err != nil {
			t.Fatal(err)
		}
		conn := accept(t, l)
		foreign(t, conn, zmtp.Pub, 1)
		accept(t, l) // it tries again: so it has left
	}
}

// Towards a publisher that can't confirm, subscriptions are messages.
func TestX6OldPublisher(t *testing.T) {
	ctx := begin(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	sub := openSub(t, ctx)
	if err := sub.Connect(addrURI(l.Addr())); err != nil {
		t.Fatal(err)
	}
	r := foreign(t, accept(t, l), zmtp.Pub, 0)
	if err := sub.Await(ctx); err != nil {
		t.Fatal(err)
	}
	if err := sub.Subscribe(ctx, "T"); err != nil {
		t.Fatal(err)
	}
	if f := r.frame(); f.Command || string(f.Body) != "\x01T" {
		t.Errorf("got %q, want a message of ZMTP 3.0", f.Body)
	}
}

// A subscriber that falls out of retention gets what was written to it, then
// Resync for each topic that it holds, then what is published from then on.
func TestLost(t *testing.T) {
	for _, c := range []struct {
		name       string
		properties []zmtp.Property
	}{{"foreign", nil}, {"ours", []zmtp.Property{{Name: propertyPeer, Value: "1"}}}} {
		t.Run(c.name, func(t *testing.T) {
			ctx := begin(t)
			var book logBook
			pub := openPub(t, ctx, book.use, func(c *driver.Config) {
				c.MaxPayload, c.Retention, c.Resync = 64<<10, 4<<20, []byte("RESYNC")
			})
			r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1, c.properties...)
			r.subscribe(1, "T", "quiet")
			filler := strings.Repeat("f", 32<<10)
			last := 0
			for pub.Status().Lost == 0 {
				last++
				publish(t, ctx, pub, "T", fmt.Sprintf("%d %s", last, filler))
			}
			t.Logf("%d events, %+v", last, pub.Status())
			seen, told := 0, []string{}
			defer func() { t.Logf("saw %d, told %q, %d bytes more", seen, told, len(r.buf)) }()
			for {
				m := r.message()
				topic, text, _ := strings.Cut(m, " ")
				switch {
				case text == "RESYNC":
					if told = append(told, topic); len(told) == 2 {
						publish(t, ctx, pub, "T", "end")
					}
					continue
				case text == "end":
				default:
					var n int
					fmt.Sscan(text, &n)
					if len(told) == 0 && n != seen+1 || n <= seen {
						t.Fatalf("%d after %d, told %q", n, seen, told)
					}
					seen = n
					continue
				}
				break
			}
			slices.Sort(told)
			if strings.Join(told, " ") != "T quiet" {
				t.Errorf("told to resync %q", told)
			}
			book.waitFor(t, "fell behind")
		})
	}
}
