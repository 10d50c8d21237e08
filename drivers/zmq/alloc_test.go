package zmq

import (
	"context"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// raceEnabled is set where the race detector, which allocates, is on.
var raceEnabled bool

// batchOf returns n messages of a usual size.
func batchOf(n int) []driver.Message {
	msgs := make([]driver.Message, n)
	for i := range msgs {
		msgs[i] = message("topic", strings.Repeat("p", 200))
	}
	return msgs
}

// pump publishes a batch and receives it, again and again.
func pump(t testing.TB, ctx context.Context, pub driver.Publisher, sub driver.Subscriber, msgs []driver.Message) func() {
	dst := make([]driver.Message, 512)
	return func() {
		if _, err := pub.Publish(ctx, msgs); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(msgs); {
			n, err := sub.Receive(ctx, dst)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	}
}

// Once buffers have grown, an event costs no allocation on any half. What is
// left is the runtime's few bytes for each wait of a connection.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := begin(t)
	const size = 1000
	msgs := batchOf(size)
	alone := openPub(t, ctx)
	pub, sub := openPub(t, ctx), openSub(t, ctx)
	meet(t, ctx, sub, uri(pub), "topic")
	socket := shortDir(t) + "/s"
	pull := openPull(t, ctx, socket)
	push := openPush(t, ctx, socket)
	for _, c := range []struct {
		name string
		most float64 // per event
		run  func()
	}{
		{"Publish", 0.005, func() {
			if _, err := alone.Publish(ctx, msgs); err != nil {
				t.Fatal(err)
			}
		}},
		{"PUB to SUB", 0.05, pump(t, ctx, pub, sub, msgs)},
		{"PUSH to PULL", 0.05, pump(t, ctx, push, pull, msgs)},
	} {
		for range 500 { // the log reaches its retention
			c.run()
		}
		if got := testing.AllocsPerRun(100, c.run) / size; got > c.most {
			t.Errorf("%s: %.3f allocations per event, want %.3f at most", c.name, got, c.most)
		}
	}
}

// busyConn is one on which, while it is written to, events are published.
type busyConn struct {
	net.Conn
	meanwhile func()
}

func (c *busyConn) Write(p []byte) (int, error) {
	c.meanwhile()
	return len(p), nil
}

// The buffers of a worker's queue take turns: none is lost when the queue runs
// empty.
func TestQueueAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := begin(t)
	push := openPush(t, ctx, shortDir(t)+"/s")
	push.started = true // but it isn't: the test writes
	msgs := batchOf(1)
	add := func() {
		if _, err := push.Publish(ctx, msgs); err != nil {
			t.Fatal(err)
		}
	}
	more := 0
	conn := &busyConn{meanwhile: func() {
		if more--; more >= 0 {
			add()
		}
	}}
	got := testing.AllocsPerRun(100, func() {
		add()
		more = 2
		if err := push.feed(conn); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// Connections that come and go, in whatever way, leave no descriptor behind.
func TestDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts /proc/self/fd")
	}
	ctx := begin(t)
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := 0
	for round := range 8 {
		if round == 1 { // the first one opens what the runtime keeps
			before = count()
		}
		pub, sub := openPub(t, ctx), openSub(t, ctx, quick)
		meet(t, ctx, sub, uri(pub), "T")
		socket := shortDir(t) + "/s"
		pull, push := openPull(t, ctx, socket), openPush(t, ctx, socket)
		if _, err := (IPC{}).OpenSubscriber(ctx, driver.Config{Socket: socket}); err == nil {
			t.Fatal("a second service was not refused")
		}
		publish(t, ctx, push, "T", "x")
		receive(t, ctx, pull, 1)
		for range 10 {
			c := dial(t, pub.Addr())
			c.Write([]byte("garbage"))
			wantEnd(t, c)
			c.Close()
			dial(t, pull.Addr()).Close()
		}
		for _, c := range []interface{ Close() error }{pub, sub, pull, push} {
			c.Close()
		}
	}
	eventually(t, "all descriptors to be closed", func() bool { return count() <= before })
}

func BenchmarkPublish(b *testing.B) {
	ctx := context.Background()
	pub := openPub(b, ctx)
	msgs := batchOf(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pub.Publish(ctx, msgs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPubSub(b *testing.B) {
	ctx := context.Background()
	pub, sub := openPub(b, ctx), openSub(b, ctx)
	meet(b, ctx, sub, uri(pub), "topic")
	benchPump(b, ctx, pub, sub)
}

func BenchmarkPushPull(b *testing.B) {
	ctx := context.Background()
	socket := shortDir(b) + "/s"
	pull, push := openPull(b, ctx, socket), openPush(b, ctx, socket)
	benchPump(b, ctx, push, pull)
}

// benchPump reports the cost of one event, in batches of a hundred.
func benchPump(b *testing.B, ctx context.Context, pub driver.Publisher, sub driver.Subscriber) {
	run := pump(b, ctx, pub, sub, batchOf(100))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 100 {
		run()
	}
}

// A subscriber that is connected and has nothing to do costs little.
func TestIdleSubscriberMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	const peers, most = 300, 10 << 10
	ctx := begin(t)
	pub := openPub(t, ctx, func(c *driver.Config) { c.ID, c.Epoch = "p", 7 })
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	conns := make([]net.Conn, peers)
	for i := range conns {
		r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1, zmtp.Property{Name: propertyPeer, Value: "2"})
		r.subscribe(1, "a")
		conns[i] = r.conn
	}
	each := int64(heap()-before) / peers // the other side's connection included
	if each > most {
		t.Errorf("%d bytes for each, want at most %d", each, most)
	}
	t.Logf("%d bytes for each", each)
}
