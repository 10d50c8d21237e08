package zmq

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

func TestEnded(t *testing.T) {
	now := time.Unix(1e9, 0)
	e := newEnded(false, now)
	check := func(address, text string, after time.Duration, want bool) {
		t.Helper()
		if got := e.remade(address, text, now.Add(after)); got != want {
			t.Errorf("%s %q after %s: %v", address, text, after, got)
		}
	}
	check("one", "a", 0, false)
	e.end("one", []string{"a", ""}, now, now)
	e.end("two", nil, now, now)
	check("one", "b", 1, false)
	check("two", "a", 1, false)
	check("one", "", endedFor, true) // it was cut off for long
	check("one", "a", 0, true)
	// Which of two nodes at that address comes isn't known for a while.
	check("one", "a", confused, true)
	check("one", "a", confused+1, false)
	e.end("one", []string{"a"}, now.Add(time.Hour), now.Add(time.Hour))
	e.end("one", []string{"a"}, now.Add(time.Hour), now.Add(time.Hour))
	check("one", "a", 2*time.Hour, true)
	check("one", "a", 2*time.Hour+confused+1, true) // the other one
	check("one", "a", 2*time.Hour+2*confused+2, false)
	// Another end doesn't make the old ones young again.
	e.end("one", []string{"b"}, now, now)
	e.end("one", []string{"c"}, now.Add(endedFor/2), now.Add(endedFor/2))
	check("one", "b", endedFor+1, false)
	check("one", "c", endedFor+1, true)
	e.end("three", []string{"a"}, now.Add(3*endedFor), now.Add(3*endedFor))
	if len(e.nodes) != 1 || e.count != 1 {
		t.Errorf("%d nodes with %d subscriptions are remembered, want 1 and 1", len(e.nodes), e.count)
	}

	e = newEnded(true, now)
	check("one", "a", 0, true)
	check("one", "a", afterCrash-1, true)
	check("one", "a", afterCrash, false)
}

// A node may connect again before the end of its old connection is noticed.
func TestEndedLate(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	e := newEnded(false, now)
	seen := e.ends.Load()
	check := func(what string, began int, when int, want bool) {
		t.Helper()
		if got := e.late("one", []string{"a", "b", "new"}, at(began), seen, at(when)); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("none has ended", 10, 11, false)
	e.end("two", []string{"a"}, at(5), at(12))
	check("one of another address", 10, 13, false)
	e.end("one", []string{"a", "b"}, at(5), at(14))
	check("that was silent when this one came", 10, 15, true)
	check("which of them it was is not known", 11, 15, true)
	check("that was heard when this one had come", 4, 15, false)
	if !e.remade("one", "a", at(16)) || e.remade("one", "a", at(15).Add(confused+1)) {
		t.Error("it is not taken")
	}
	seen = e.ends.Load()
	check("it was considered", 10, 15, false)
	e.end("one", []string{"b"}, at(5), at(20))
	e.end("one", []string{"b"}, at(19), at(21)) // another one, before this one has asked
	check("two", 10, 22, true)
	if e.late("one", []string{"new"}, at(10), seen, at(22)) {
		t.Error("a subscription that did not end is a re-made one")
	}
	seen = e.ends.Load()
	e.end("one", []string{"b"}, at(59), at(60))
	check("that was heard", 30, 61, false)
}

// Where the memory for them is used up every subscription is taken for a
// re-made one.
func TestEndedBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	e := newEnded(false, now)
	var many []string
	for i := range maxEnded + 10 {
		many = append(many, fmt.Sprint(i))
	}
	e.end("many", many, now, now)
	if e.count != maxEnded || !e.remade("many", "other", now) {
		t.Errorf("%d are remembered, want %d", e.count, maxEnded)
	}
	if e.remade("other", "other", now) {
		t.Error("an address that never was is taken for a re-made one")
	}
	for i := range 2 * maxEnded {
		e.end(fmt.Sprint("node", i), []string{"a"}, now.Add(time.Second), now.Add(time.Second))
	}
	if len(e.nodes) != maxEnded || !e.remade("yet another", "a", now.Add(time.Second)) {
		t.Errorf("%d addresses are remembered, want %d", len(e.nodes), maxEnded)
	}
}

// syncs reads messages until one says "end", and returns how often each topic
// was told to resync.
func (r *reader) syncs() map[string]int {
	r.t.Helper()
	told := make(map[string]int)
	for {
		topic, text, _ := strings.Cut(r.message(), " ")
		switch text {
		case "RESYNC":
			told[topic]++
		case "end":
			return told
		}
	}
}

func wantSyncs(t *testing.T, what string, told map[string]int, want ...string) {
	t.Helper()
	var got []string
	for topic, n := range told {
		if got = append(got, topic); n != 1 {
			t.Errorf("%s: %s was told %d times", what, topic, n)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

// A ZeroMQ node whose connection was made again is told to resync, once for each
// of its subscriptions, within the window.
func TestN4Remade(t *testing.T) {
	const spread = 200 * time.Millisecond
	for _, c := range []struct {
		name          string
		spread        time.Duration
		crashed       bool
		first, second []string
	}{
		{"spread", spread, false, nil, []string{"D", "a", "ab"}},
		{"off", -1, false, nil, nil},
		{"crashed", spread, true, []string{"D", "a", "ab"}, []string{"D", "a", "ab", "other"}},
		{"crashed and off", -1, true, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := begin(t)
			pub := openPub(t, ctx, func(cfg *driver.Config) {
				cfg.ResyncSpread, cfg.Crashed, cfg.Resync = c.spread, c.crashed, []byte("RESYNC")
				cfg.NoReconnectSync = c.spread < 0
				cfg.HeartbeatInterval = 40 * time.Millisecond // ticks are half of it
			})
			for i, want := range [][]string{c.first, c.second} {
				r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
				r.subscribe(1, "a", "ab", "", "gone again")
				if _, err := r.conn.Write(zmtp.AppendCancel(nil, 1, []byte("gone again"))); err != nil {
					t.Fatal(err)
				}
				if i == 1 {
					r.subscribe(1, "other")
				}
				time.Sleep(spread + 50*time.Millisecond)
				publish(t, ctx, pub, "a", "end")
				wantSyncs(t, fmt.Sprint("connection ", i), r.syncs(), want...)
				r.conn.Close()
				eventually(t, "the end of the connection", func() bool { return pub.Status().Peers == 0 })
			}
		})
	}
}

// A ZeroMQ node connects again while its old connection seems to live, as when its
// link was down: it is told when the end of that is noticed, once.
func TestN4RemadeBeforeTheEnd(t *testing.T) {
	const spread, heartbeat = 50 * time.Millisecond, 100 * time.Millisecond
	ctx := begin(t)
	pub := openPub(t, ctx, func(cfg *driver.Config) {
		cfg.ResyncSpread, cfg.Resync, cfg.HeartbeatInterval = spread, []byte("RESYNC"), heartbeat
	})
	old, older, other := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1), foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1), foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
	old.subscribe(1, "a", "b")
	older.subscribe(1, "a", "b")
	other.subscribe(1, "a")
	ping := func(of ...*reader) {
		for _, r := range of {
			if _, err := r.conn.Write(zmtp.AppendPing(nil, 0, nil)); err != nil {
				t.Fatal(err)
			}
			for !bytes.HasPrefix(r.frame().Body, []byte("\x04PONG")) {
			}
		}
	}
	time.Sleep(4 * heartbeat) // that is a silence
	again := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
	again.subscribe(1, "a", "b", "new")
	other.subscribe(1, "other") // it lives
	publish(t, ctx, pub, "a", "end")
	wantSyncs(t, "before", again.syncs())
	wantSyncs(t, "the other node, before", other.syncs())
	ping(old) // its kernel sends what it could not send when the link was down
	old.conn.Close()
	eventually(t, "the end of the connection", func() bool { return pub.Status().Peers == 3 })
	time.Sleep(4 * spread)
	publish(t, ctx, pub, "a", "end")
	wantSyncs(t, "after", again.syncs(), "a", "b", "new")
	wantSyncs(t, "the other node, after", other.syncs())
	older.conn.Close()
	eventually(t, "the end of the other", func() bool { return pub.Status().Peers == 2 })
	time.Sleep(2 * spread)
	publish(t, ctx, pub, "a", "end")
	wantSyncs(t, "nothing twice", again.syncs())
}

// One of ours is not told that way: it knows by itself. Its end says nothing of
// a node at its address.
func TestRemadeOurs(t *testing.T) {
	const spread = 50 * time.Millisecond
	ctx := begin(t)
	quickly := func(cfg *driver.Config) { cfg.HeartbeatInterval = 40 * time.Millisecond }
	end := func(pub *publisher) {
		time.Sleep(2 * spread)
		publish(t, ctx, pub, "a", "end")
	}
	pub := openPub(t, ctx, quickly, func(cfg *driver.Config) {
		cfg.ResyncSpread, cfg.Crashed, cfg.Resync = spread, true, []byte("RESYNC")
	})
	for _, version := range []string{"1", "2"} {
		r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1, zmtp.Property{Name: propertyPeer, Value: version})
		r.subscribe(1, "a")
		end(pub)
		wantSyncs(t, "version "+version, r.syncs())
	}
	pub = openPub(t, ctx, quickly, func(cfg *driver.Config) {
		cfg.ResyncSpread, cfg.Resync = spread, []byte("RESYNC")
	})
	r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1, zmtp.Property{Name: propertyPeer, Value: "1"})
	r.subscribe(1, "", "a")
	r.conn.Close()
	eventually(t, "the end of the connection", func() bool { return pub.Status().Peers == 0 })
	r = foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
	r.subscribe(1, "", "a")
	end(pub)
	wantSyncs(t, "the first node", r.syncs())
}

// With thousands of subscriptions a node that fell behind is told of each of
// them, once, and not all at a time: its answers have little room.
func TestLostWithManySubscriptions(t *testing.T) {
	const many = 3000
	ctx := begin(t)
	pub := openPub(t, ctx, func(c *driver.Config) {
		c.MaxPayload, c.Retention, c.Resync = 64<<10, 4<<20, []byte("RESYNC")
		c.HeartbeatInterval = 100 * time.Millisecond
	})
	r := foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
	topics := append(names("a-topic-with-a-number-", many), "T")
	r.subscribe(1, topics...)
	filler := strings.Repeat("f", 32<<10)
	for pub.Status().Lost == 0 {
		publish(t, ctx, pub, "T", filler)
	}
	began := time.Now()
	told := make(map[string]int)
	defer func() { t.Logf("told of %d topics, %+v, %d bytes left", len(told), pub.Status(), len(r.buf)) }()
	for len(told) < len(topics) {
		if topic, text, _ := strings.Cut(r.message(), " "); text == "RESYNC" {
			told[topic]++
		}
	}
	t.Logf("%d told in %s", len(told), time.Since(began))
	publish(t, ctx, pub, "T", "end")
	for topic, n := range r.syncs() {
		t.Errorf("%s was told %d times more", topic, n)
	}
}

const zmqNode = `
import sys, zmq
s = zmq.Context().socket(zmq.SUB)
s.setsockopt(zmq.RECONNECT_IVL, 20)
s.setsockopt(zmq.LINGER, 0)
for t in sys.argv[2:]: s.setsockopt_string(zmq.SUBSCRIBE, t)
s.connect(sys.argv[1])
p = zmq.Poller()
p.register(s, zmq.POLLIN)
p.register(sys.stdin, zmq.POLLIN)
while True:
    ready = dict(p.poll())
    if sys.stdin.fileno() in ready:
        line = sys.stdin.readline().strip()
        if not line: break
        s.setsockopt_string(zmq.SUBSCRIBE, line)
    if s in ready:
        print(*(f.decode() for f in s.recv_multipart()), flush=True)
`

// The same with libzmq, which reconnects by itself and asks again for what it
// had: unmodified nodes get what they need.
func TestN4RemadeByLibzmq(t *testing.T) {
	ctx := begin(t)
	pub := openPub(t, ctx, func(cfg *driver.Config) {
		cfg.ResyncSpread, cfg.Resync = 100*time.Millisecond, []byte("RESYNC")
		cfg.HeartbeatInterval = 40 * time.Millisecond
	})
	link := through(t, pub.Addr())
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", zmqNode, addrURI(link.Addr()), "a", "b", "ab")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v\nhint: run `make deps`", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s\nhint: run `make deps`", err, stderr.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	told := func(what string) map[string]int {
		time.Sleep(250 * time.Millisecond) // the window
		publish(t, ctx, pub, "a", "end "+what)
		told := make(map[string]int)
		for lines.Scan() {
			topic, text, _ := strings.Cut(lines.Text(), " ")
			switch text {
			case "RESYNC":
				told[topic]++
			case "end " + what:
				return told
			}
		}
		t.Fatalf("the node ended: %s", stderr.String())
		return nil
	}
	connected := func(times int) {
		eventually(t, "the connection", func() bool { return link.Counts().Accepted == int64(times) && pub.introduced.Load() == 1 })
	}
	connected(1)
	wantSyncs(t, "first", told("first"))
	for i := range 3 {
		if link.Reset() != 1 {
			t.Fatal("nothing was cut")
		}
		connected(i + 2)
		wantSyncs(t, "again", told(fmt.Sprint(i)), "a", "ab", "b")
	}
	if _, err := io.WriteString(stdin, "new\n"); err != nil {
		t.Fatal(err)
	}
	wantSyncs(t, "new topic", told("new"))
}
