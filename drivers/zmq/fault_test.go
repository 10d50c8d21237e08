package zmq

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// heartbeats are short ones.
func heartbeats(c *driver.Config) {
	c.HeartbeatInterval, c.HeartbeatTimeout = 50*time.Millisecond, 200*time.Millisecond
}

// Something loses one message of a connection that lives on: the last one of a
// topic that falls quiet, with the times as they are by default. It comes, or is
// told, in 3 s; also while other topics are busy, and to who holds all.
func TestN2LastEventLost(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprint("busy=", busy), func(t *testing.T) {
			ctx := begin(t)
			pub := serviceOn(t, ctx, "p", 0)
			link := through(t, pub.Addr())
			nodes := []*node{newNode(t, ctx, []string{"quiet", "busy", "other"}), newNode(t, ctx, nil)}
			// Each is lost for one of the two: it has a proxy of its own.
			links := []*proxy.Proxy{link, through(t, pub.Addr())}
			for i, n := range nodes {
				n.meet(ctx, links[i].Addr())
			}
			say(t, ctx, pub, "quiet", 3)
			for _, n := range nodes {
				n.waitFor("the first events", isEvent("quiet", 0, 3))
			}
			for _, l := range links {
				l.Swallow(func(topic, _ []byte) bool { return string(topic) == "quiet" })
			}
			say(t, ctx, pub, "quiet", 1)
			began := time.Now()
			var stop atomic.Bool
			var load sync.WaitGroup
			if busy {
				load.Go(func() {
					for !stop.Load() {
						say(t, ctx, pub, "busy", 1)
						time.Sleep(time.Millisecond)
					}
				})
			}
			for i, n := range nodes {
				n.waitFor("the event that was lost", isEvent("quiet", 0, 4))
				if links[i].Counts().Swallowed != 1 {
					t.Error("nothing was lost")
				}
			}
			stop.Store(true)
			load.Wait()
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			for _, n := range nodes {
				n.await(ctx)
				n.check()
				n.wantResyncs()
				if !strings.Contains(n.log.String(), "messages are missing") {
					t.Error("nothing of it in the log")
				}
			}
		})
	}
}

// What is lost again each time that it is sent is given up, told, and not asked
// for for ever.
func TestN2LostAgainAndAgain(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	link := through(t, pub.Addr())
	n := newNode(t, ctx, []string{"t", "other"}, heartbeats)
	n.meet(ctx, link.Addr())
	say(t, ctx, pub, "other", 1)
	n.waitFor("the first event", isEvent("other", 0, 1))
	var lost func(topic, _ []byte) bool
	lost = func(topic, _ []byte) bool {
		if string(topic) == "t" {
			go link.Swallow(lost) // again; it is called under the proxy's lock
			return true
		}
		return false
	}
	link.Swallow(lost)
	say(t, ctx, pub, "t", 1)
	eventually(t, "the resyncs", func() bool { return n.count(isResync) >= 2 })
	n.await(ctx)
	before := link.Counts()
	time.Sleep(6 * 50 * time.Millisecond) // as many heartbeats
	if more := link.Counts().Minus(before); more.Accepted != 0 {
		t.Errorf("it has connected %d times since", more.Accepted)
	}
	if link.Counts().Swallowed < 2 {
		t.Error("it was not lost twice")
	}
	n.wantResyncs(each([]string{"t", "other"}, wyvern.ReasonGap)...)
}

// A message that this side can't take is not resumed into for ever: the stream
// goes on behind it, and that is told.
func TestPoison(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	n := newNode(t, ctx, []string{"t", "other"}, func(c *driver.Config) { c.MaxPayload = 1 << 10 })
	n.meet(ctx, pub.Addr())
	if err := pub.Publish(ctx, wyvern.Event{Topic: "t", Action: "set", Value: strings.Repeat("x", 2<<10)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the resyncs", func() bool { return n.count(isResync) >= 2 })
	say(t, ctx, pub, "t", 1)
	n.waitFor("the event behind it", isEvent("t", 0, 2))
	n.wantResyncs(each([]string{"t", "other"}, wyvern.ReasonGap)...)
}

// A network that drops everything, one way or both, is noticed by heartbeats.
// When it heals the stream goes on where it was.
func TestN6BlackHole(t *testing.T) {
	for _, way := range []proxy.Direction{proxy.Both, proxy.Down, proxy.Up} {
		t.Run(way.String(), func(t *testing.T) {
			ctx := begin(t)
			pub := serviceOn(t, ctx, "p", 0, heartbeats, func(c *driver.Config) { c.HeartbeatTimeout = 100 * time.Millisecond })
			link := through(t, pub.Addr())
			n := newNode(t, ctx, []string{"a", "quiet"}, heartbeats)
			n.meet(ctx, link.Addr())
			say(t, ctx, pub, "a", 1)
			n.waitFor("the first event", isEvent("a", 0, 1))
			link.Apply(way, proxy.Rule{Hold: true})
			began := time.Now()
			say(t, ctx, pub, "a", 10)
			eventually(t, "the loss", func() bool { return n.sub.Status().Peers == 0 })
			// The publisher, to whom a subscriber may be silent for longer,
			// notices where this side can't.
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("noticed after %s", took)
			}
			say(t, ctx, pub, "a", 10)
			if link.Counts().Withheld == 0 {
				t.Error("nothing fell into the hole")
			}
			link.Heal()
			n.waitFor("the last event", isEvent("a", 0, 21))
			n.await(ctx)
			if got := n.check(); got != 21 {
				t.Errorf("%d events, want 21", got)
			}
			n.wantResyncs()
		})
	}
}

// gate is a log that holds up whoever writes a line of some text to it.
type gate struct {
	text  string
	armed atomic.Bool
	held  chan struct{} // closed when somebody is held up
	open  chan struct{}
}

func (g *gate) Enabled(context.Context, slog.Level) bool { return true }
func (g *gate) WithAttrs([]slog.Attr) slog.Handler       { return g }
func (g *gate) WithGroup(string) slog.Handler            { return g }
func (g *gate) Handle(_ context.Context, r slog.Record) error {
	if r.Message == g.text && g.armed.CompareAndSwap(true, false) {
		close(g.held)
		<-g.open
	}
	return nil
}

// The loop that writes a subscriber's events stalls, while the process and its
// sockets live on: the subscriber notices, and goes on elsewhere.
func TestS4StalledLoop(t *testing.T) {
	ctx := begin(t)
	g := &gate{text: "subscriber connected", held: make(chan struct{}), open: make(chan struct{})}
	pub := serviceOn(t, ctx, "p", 0, func(c *driver.Config) { c.Log = slog.New(g) })
	release := sync.OnceFunc(func() { close(g.open) })
	t.Cleanup(release)
	n := newNode(t, ctx, []string{"a"}, heartbeats)
	n.meet(ctx, pub.Addr())
	// Connections are dealt out in turn: this many later it is the same loop's.
	loops := min(runtime.GOMAXPROCS(0), 8)
	for i := range loops {
		g.armed.Store(i == loops-1)
		conn := dial(t, pub.Addr())
		if i < loops-1 {
			foreign(t, conn, zmtp.Sub, 1)
		} else if _, err := conn.Write(rawHello(zmtp.Sub)); err != nil {
			t.Fatal(err)
		}
	}
	<-g.held
	say(t, ctx, pub, "a", 5)
	eventually(t, "the subscriber to notice", func() bool { return strings.Contains(n.log.String(), errSilent.Error()) })
	if loops == 1 {
		release()
	}
	n.waitFor("the last event", isEvent("a", 0, 5))
	release()
	n.await(ctx)
	if got := n.check(); got != 5 {
		t.Errorf("%d events, want 5", got)
	}
	n.wantResyncs()
}

// A handler that blocks makes nobody believe that the publisher is gone, and
// misses nothing. (B1)
func TestS4BlockedHandler(t *testing.T) {
	ctx := begin(t)
	patience := func(c *driver.Config) { // longer than a busy machine stands still
		c.HeartbeatInterval, c.HeartbeatTimeout, c.LostAfter = 100*time.Millisecond, time.Second, 1200*time.Millisecond
	}
	pub := serviceOn(t, ctx, "p", 0, patience)
	n := newNode(t, ctx, []string{"a"}, patience)
	open := make(chan struct{})
	release := sync.OnceFunc(func() { close(open) })
	t.Cleanup(release)
	n.before = func(e wyvern.Event) {
		if e.Seq == 1 {
			<-open
		}
	}
	n.meet(ctx, pub.Addr())
	body := strings.Repeat("x", 10<<10)
	for range 500 {
		if err := pub.Publish(ctx, wyvern.Event{Topic: "a", Action: "set", Value: body}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second) // longer than every patience
	release()
	n.waitFor("the last event", isEvent("a", 0, 500))
	if got := n.check(); got != 500 {
		t.Errorf("%d events, want 500", got)
	}
	n.wantResyncs()
	if strings.Contains(n.log.String(), "lost") {
		t.Errorf("a connection was given up:\n%s", n.log.String())
	}
}

// A second fault within the window of the first one's resyncs: whatever was
// missed then is covered by what is told afterwards.
func TestN10TwoFaults(t *testing.T) {
	ctx := begin(t)
	topics := names("t", 30)
	pub := serviceOn(t, ctx, "p", 0)
	port := portOf(pub)
	n := newNode(t, ctx, topics, func(c *driver.Config) { c.ResyncSpread = 600 * time.Millisecond })
	n.meet(ctx, pub.Addr())
	pub.Close()
	pub = serviceOn(t, ctx, "p", port)
	eventually(t, "some resyncs", func() bool { return n.count(isResync) > 5 })
	pub.Close()
	pub = serviceOn(t, ctx, "p", port)
	second := time.Now()
	for _, topic := range topics {
		say(t, ctx, pub, topic, 1) // missed, mostly
	}
	known := func() int { // the event, or that it was missed
		n.mu.Lock()
		defer n.mu.Unlock()
		after := make(map[string]bool)
		for i, e := range n.got {
			if n.at[i].After(second) {
				after[e.Topic] = true
			}
		}
		return len(after)
	}
	eventually(t, "news of each topic", func() bool { return known() == len(topics) })
	n.await(ctx)
	if total := n.count(isResync); total > 2*len(topics) {
		t.Errorf("%d resyncs for two faults of %d topics", total, len(topics))
	}
	n.check()
}
