package zmq

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

func TestX4Bucket(t *testing.T) {
	const burst, price = 3000, time.Second / requestRate
	start := time.Unix(1000, 0)
	var r requests
	// turn makes a turn's worth of requests and returns how long to wait then.
	turn := func(at time.Duration, count int, other bool, holds uint64) time.Duration {
		t.Helper()
		for i := range count {
			until, stop := r.charge(start.Add(at), !other, holds, burst)
			if stop != (i == count-1) {
				t.Fatalf("request %d of %d: stop %t", i, count, stop)
			}
			if stop {
				return max(0, until.Sub(start.Add(at)))
			}
		}
		return 0
	}
	for _, c := range []struct {
		name  string
		at    time.Duration
		count int
		other bool
		holds uint64
		want  time.Duration
	}{
		{"a burst", 0, 1000, false, 0, 0},
		{"a burst", 0, 1000, false, 0, 0},
		{"a burst", 0, 1000, false, holdsPerRequest - 1, 0},
		{"beyond it", 0, 1000, false, 0, 1000 * price},
		{"too soon again", 50 * time.Millisecond, 1000, false, 0, 1500 * price},
		{"when it may", 200 * time.Millisecond, 1000, false, 0, 1000 * price},
		{"matched to a few topics", 300 * time.Millisecond, 500, false, holdsPerRequest, 1000 * price},
		{"matched to very many topics", 400 * time.Millisecond, 1, false, 10000 * holdsPerRequest, 10001 * price},
		{"cancels", 1500 * time.Millisecond, 1000 / otherPrice, true, 0, price},
		{"an hour later", time.Hour, 1000, false, 0, 0},
		{"an hour later", time.Hour, 1000, false, 0, 0},
		{"an hour later", time.Hour, 1000, false, 0, 0},
		{"all is forgiven, no more", time.Hour, 1000, false, 0, 1000 * price},
	} {
		if got := turn(c.at, c.count, c.other, c.holds); got != c.want {
			t.Errorf("%s: wait %v, want %v", c.name, got, c.want)
		}
	}
}

// flip subscribes and cancels n times.
func flip(n int, topic string) (p []byte) {
	for range n {
		p = zmtp.AppendSubscribe(p, 1, []byte(topic))
		p = zmtp.AppendCancel(p, 1, []byte(topic))
	}
	return p
}

// awaitPong reads up to an answer.
func awaitPong(t testing.TB, conn net.Conn, context string) {
	t.Helper()
	var got []byte
	for b := make([]byte, 1); !bytes.HasSuffix(got, zmtp.AppendPong(nil, []byte(context))); got = append(got, b[0]) {
		if _, err := conn.Read(b); err != nil {
			t.Fatalf("wait for an answer: %v", err)
		}
	}
}

// Whoever asks for more than is fair waits, and is served in the end: the last
// of its requests too, with nothing behind it.
func TestX4SubscriptionFlood(t *testing.T) {
	const burst, beyond = 2000, 4000
	ctx := begin(t)
	var book logBook
	pub := openPub(t, ctx, book.use, func(c *driver.Config) { c.MaxSubscriptions = burst })
	good := openSub(t, ctx)
	meet(t, ctx, good, uri(pub), "T")
	conn := dial(t, pub.Addr())
	p := append(rawHello(zmtp.Sub), flip((burst+beyond)/2, "x")...)
	p = zmtp.AppendSubscribe(p, 1, []byte("T"))
	p = zmtp.AppendPing(p, 0, []byte("c"))
	begin := time.Now()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
	awaitPong(t, conn, "c")
	if took, least := time.Since(begin), beyond*time.Second/requestRate; took < least {
		t.Errorf("%d requests too many took %v, want %v or more", beyond, took, least)
	}
	publish(t, ctx, pub, "T", "x")
	want := zmtp.AppendMessage2(nil, []byte("T"), []byte("x"))
	event := make([]byte, len(want))
	if _, err := io.ReadFull(conn, event); err != nil || !bytes.Equal(event, want) {
		t.Errorf("got %q, %v", event, err)
	}
	wantMessages(t, receive(t, ctx, good, 1), "T x")
	if st := pub.Status(); st.Refused > 0 || st.Peers != 2 {
		t.Errorf("status %+v: somebody was turned away", st)
	}
}

// A tenth of the nodes is hostile in every way that the protocol allows. The
// others get everything.
func TestX4HostileTenth(t *testing.T) {
	const good, events, topics, pace = 45, 900, 150, 100
	ctx, cancel := context.WithTimeout(context.WithoutCancel(begin(t)), 4*patience) // it is a lot for a busy machine
	defer cancel()
	var book logBook
	calm := func(c *driver.Config) { c.HeartbeatTimeout = 4 * patience } // who waits for a processor is not gone
	pub := openPub(t, ctx, book.use, calm, func(c *driver.Config) {
		c.MaxSubscriptions, c.Retention, c.MaxPayload = 20000, 4<<20, 64<<10
	})
	subs := make([]*subscriber, good)
	for i := range subs {
		subs[i] = openSub(t, ctx, calm)
		meet(t, ctx, subs[i], uri(pub), "D", fmt.Sprint("t", i))
	}

	hostile, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	stop := sync.OnceFunc(func() { end(); wg.Wait() })
	defer stop()
	var mu sync.Mutex
	did := map[string]int{} // the faults strike
	attack := func(name string, again bool, do func(net.Conn) error) {
		wg.Go(func() {
			for hostile.Err() == nil {
				conn, err := net.Dial("tcp", pub.Addr().String())
				if err != nil {
					continue
				}
				release := context.AfterFunc(hostile, func() { conn.Close() })
				_, err = conn.Write(rawHello(zmtp.Sub))
				for err == nil && hostile.Err() == nil {
					if err = do(conn); err == nil {
						mu.Lock()
						did[name]++
						mu.Unlock()
					}
					if again {
						break
					}
				}
				release()
				conn.Close()
			}
		})
	}
	write := func(p []byte) func(net.Conn) error {
		return func(conn net.Conn) error { _, err := conn.Write(p); return err }
	}
	number := 0
	var made []byte // 15000 names that nobody else has, again and again others
	names := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		made = made[:0]
		for range 15000 {
			number++
			made = zmtp.AppendSubscribe(made, 1, fmt.Appendf(nil, "made up %d", number*7919%1000003))
		}
		return slices.Clone(made)
	}
	drain := func(conn net.Conn) { go func() { _, _ = io.Copy(io.Discard, conn) }() }
	attack("flips a prefix of many topics", false, write(flip(1000, "t")))
	attack("subscribes and goes", true, func(conn net.Conn) error { drain(conn); _, err := conn.Write(names()); return err })
	attack("asks without reading", true, write(bytes.Repeat(zmtp.AppendPing(nil, 0, []byte("0123456789abcdef")), 10000)))
	// These are sent every event: one never reads, the other a little.
	attack("never reads", false, func(conn net.Conn) error {
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		if _, err := conn.Write(zmtp.AppendSubscribe(nil, 1, nil)); err != nil {
			return err
		}
		<-hostile.Done()
		return nil
	})
	attack("reads a little, to be told to resync", false, func(conn net.Conn) error {
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		p := zmtp.AppendSubscribe(nil, 1, []byte("D"))
		for i := range 200 {
			p = zmtp.AppendSubscribe(p, 1, fmt.Append(nil, "t", i))
		}
		if _, err := conn.Write(p); err != nil {
			return err
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-hostile.Done():
				return nil
			case <-tick.C:
				if _, err := conn.Read(make([]byte, 2048)); err != nil {
					return err
				}
			}
		}
	})

	payload := strings.Repeat("p", 4500)
	var readers sync.WaitGroup
	done := make([]atomic.Int64, good)
	for i, s := range subs {
		readers.Go(func() {
			own := fmt.Sprint("t", i)
			last := map[string]int{"D": -1, own: i - topics}
			batch := make([]driver.Message, 64)
			for left := events + events/topics; left > 0; {
				n, err := s.Receive(ctx, batch)
				if err != nil {
					t.Errorf("subscriber %d misses %d events: %v", i, left, err)
					return
				}
				for _, m := range batch[:n] {
					topic, step := string(m.Topic), 1
					if topic == own {
						step = topics
					}
					number, _, _ := strings.Cut(string(m.Payload), " ")
					if want := last[topic] + step; number != strconv.Itoa(want) {
						t.Errorf("subscriber %d: got event %s of %s, want %d", i, number, topic, want)
						return
					}
					last[topic] += step
					left--
				}
				done[i].Store(int64(last["D"]))
			}
		})
	}
	for i := range events {
		publish(t, ctx, pub, "D", fmt.Sprint(i, " ", payload))
		publish(t, ctx, pub, fmt.Sprint("t", i%topics), fmt.Sprint(i, " ", payload))
		if i%pace == pace-1 { // no faster than this machine is, on its worst day
			eventually(t, "the good ones have all", func() bool {
				for k := range done {
					if done[k].Load() < int64(i) && !t.Failed() {
						return false
					}
				}
				return true
			})
		}
	}
	readers.Wait()
	st := pub.Status()
	stop()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%v; %+v", did, st)
	for _, name := range []string{"flips a prefix of many topics", "subscribes and goes", "asks without reading"} {
		if did[name] == 0 {
			t.Errorf("nobody ever %s", name)
		}
	}
	if st.Lost == 0 {
		t.Error("nobody fell behind: those who don't read did no harm that others could have had")
	}
	if lines := strings.Count(book.String(), "\n"); lines > 200 {
		t.Errorf("%d lines of log", lines)
	}
}

// Who is not read is not taken for silent: it has asked to be dropped when it
// is for a tenth of a second, and what it says to that is behind what it asked.
func TestX4PausedIsNotSilent(t *testing.T) {
	const known = 16000
	ctx := begin(t)
	pub := openPub(t, ctx, func(c *driver.Config) { c.MaxSubscriptions, c.HeartbeatInterval = 10, 20*time.Millisecond })
	good := openSub(t, ctx)
	meet(t, ctx, good, uri(pub), "t0", "last")
	batch := make([]driver.Message, known)
	for i := range batch {
		batch[i] = message(fmt.Sprint("t", i), "x")
	}
	if _, err := pub.Publish(ctx, append(batch, message("last", "x"))); err != nil {
		t.Fatal(err)
	}
	receive(t, ctx, good, 2)
	conn := dial(t, pub.Addr())
	p := append(rawHello(zmtp.Sub), zmtp.AppendPing(nil, 100*time.Millisecond, nil)...)
	p = zmtp.AppendSubscribe(p, 1, []byte("t"))
	begin := time.Now()
	if _, err := conn.Write(zmtp.AppendPing(p, 0, []byte("c"))); err != nil {
		t.Fatal(err)
	}
	awaitPong(t, conn, "c")
	if took, least := time.Since(begin), (known/holdsPerRequest-20)*time.Second/requestRate; took < least {
		t.Errorf("a request that was matched to %d topics took %v, want %v or more", known, took, least)
	}
}
