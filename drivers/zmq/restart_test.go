package zmq

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// A publisher is restarted on the same port, faster than anybody could notice
// by silence, while its workers go on: every topic is told once, within the
// window and not all at a time. (N4)
func TestS1Restart(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	port := portOf(pub)
	topics := names("t", 40)
	const spread = 400 * time.Millisecond
	n := newNode(t, ctx, topics, func(c *driver.Config) { c.ResyncSpread = spread })
	n.meet(ctx, pub.Addr())
	for _, topic := range topics {
		say(t, ctx, pub, topic, 3)
	}
	for _, topic := range topics {
		n.waitFor("all of "+topic, isEvent(topic, 0, 3))
	}

	began := time.Now()
	pub.Close()
	pub = serviceOn(t, ctx, "p", port)
	var stop atomic.Bool
	var load sync.WaitGroup
	last := uint64(0)
	load.Go(func() {
		for ; !stop.Load(); last++ {
			for _, topic := range topics {
				say(t, ctx, pub, topic, 1)
			}
			time.Sleep(500 * time.Microsecond)
		}
	})
	eventually(t, "all resyncs", func() bool { return n.count(isResync) >= len(topics) })
	took := time.Since(began)
	stop.Store(true)
	load.Wait()
	for _, topic := range topics {
		say(t, ctx, pub, topic, 1)
	}
	for _, topic := range topics {
		n.waitFor("the last of "+topic, isEvent(topic, pub.Epoch(), last+1))
	}
	n.check()
	n.wantResyncs(each(topics, wyvern.ReasonIncarnation)...)
	var first, end time.Time
	n.mu.Lock()
	for i, e := range n.got {
		if isResync(e) {
			if first.IsZero() {
				first = n.at[i]
			}
			end = n.at[i]
		}
	}
	n.mu.Unlock()
	if gap := end.Sub(first); gap < spread/2 || gap > 2*spread {
		t.Errorf("the resyncs were spread over %s, want about %s", gap, spread)
	}
	t.Logf("told after %s, %d rounds meanwhile", took, last)
}

// No event of a new incarnation makes a topic's resync come before the topic
// is in force again: one that is published in between is not missed. (N5)
func TestS1RestartWhileAsking(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	topics := names("topic number ", 3000)
	n := newNode(t, ctx, append([]string{"busy"}, topics...), func(c *driver.Config) { c.ResyncSpread = -1 })
	link := through(t, pub.Addr())
	n.meet(ctx, link.Addr())
	say(t, ctx, pub, "busy", 1)
	n.waitFor("the first event", isEvent("busy", 0, 1))
	port := portOf(pub)
	// What the subscriber asks for trickles through from now on, so that events
	// come before all topics are in force.
	link.Apply(proxy.Up, proxy.Rule{Rate: 200 << 10})
	pub.Close()
	pub = serviceOn(t, ctx, "p", port)
	watched := topics[:20]
	var published []time.Time // of all of these, one after another
	for n.count(isResync) <= len(topics) {
		say(t, ctx, pub, "busy", 1)
		published = append(published, time.Now())
		for _, topic := range watched {
			say(t, ctx, pub, topic, 1)
		}
		time.Sleep(time.Millisecond)
	}
	for _, topic := range watched {
		n.waitFor("the last of "+topic, isEvent(topic, pub.Epoch(), uint64(len(published))))
	}
	n.check()
	n.wantResyncs(each(append([]string{"busy"}, topics...), wyvern.ReasonIncarnation)...)
	n.mu.Lock()
	told, first := make(map[string]time.Time), make(map[string]uint64)
	for i, e := range n.got {
		switch {
		case isResync(e):
			told[e.Topic] = n.at[i]
		case e.Epoch == pub.Epoch() && first[e.Topic] == 0:
			first[e.Topic] = e.Seq
		}
	}
	n.mu.Unlock()
	for _, topic := range watched {
		for i, at := range published {
			if at.After(told[topic]) && first[topic] > uint64(i+1) {
				t.Errorf("%s: event %d was published after the resync and is missing; the first that came is %d", topic, i+1, first[topic])
				break
			}
		}
	}
	if log := n.log.String(); strings.Contains(log, errMissing.Error()) || strings.Count(log, "publisher connected") != 2 {
		t.Errorf("something else went wrong:\n%s", log)
	}
}

// A publisher that vanishes is told once, in time; when it comes back as it
// was, its stream goes on without more.
func TestB4Gone(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	link := through(t, pub.Addr())
	topics := names("t", 5)
	const after = 300 * time.Millisecond
	n := newNode(t, ctx, topics, func(c *driver.Config) { c.LostAfter = after })
	n.meet(ctx, link.Addr())
	say(t, ctx, pub, "t0", 1)
	n.waitFor("the first event", isEvent("t0", 0, 1))
	began := time.Now()
	link.Refuse(true)
	link.Reset()
	eventually(t, "all resyncs", func() bool { return n.count(isResync) >= len(topics) })
	if took := time.Since(began); took < after || took > after+time.Second {
		t.Errorf("told after %s, want %s and the spread", took, after)
	}
	say(t, ctx, pub, "t0", 1)
	say(t, ctx, pub, "t1", 1)
	time.Sleep(2 * after) // it is not told again
	link.Refuse(false)
	n.waitFor("what was published meanwhile", isEvent("t1", 0, 1))
	n.waitFor("what was published meanwhile", isEvent("t0", 0, 2))
	n.await(ctx)
	n.wantResyncs(each(topics, wyvern.ReasonLost)...)
	if got := n.check(); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

// What comes back after that as another incarnation is told as such. (S1)
func TestB4GoneAndRestarted(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	port := portOf(pub)
	topics := names("t", 3)
	n := newNode(t, ctx, topics, func(c *driver.Config) { c.LostAfter = 100 * time.Millisecond })
	n.meet(ctx, pub.Addr())
	pub.Close()
	eventually(t, "the first resyncs", func() bool { return n.count(isResync) >= len(topics) })
	pub = serviceOn(t, ctx, "p", port)
	n.await(ctx)
	eventually(t, "the second resyncs", func() bool { return n.count(isResync) >= 2*len(topics) })
	say(t, ctx, pub, "t0", 1)
	n.waitFor("the next event", isEvent("t0", pub.Epoch(), 1))
	n.wantResyncs(append(each(topics, wyvern.ReasonLost), each(topics, wyvern.ReasonIncarnation)...)...)
}

// A cut that is shorter than LostAfter is not told, however often, and a
// publisher that is disconnected on purpose is not gone.
func TestNotGone(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	link := through(t, pub.Addr())
	n := newNode(t, ctx, []string{"t"}, func(c *driver.Config) { c.LostAfter = 400 * time.Millisecond })
	n.meet(ctx, link.Addr())
	for i := range 6 {
		link.Refuse(true)
		link.Reset()
		time.Sleep(150 * time.Millisecond)
		link.Refuse(false)
		say(t, ctx, pub, "t", 1)
		n.waitFor("an event", isEvent("t", 0, uint64(i+1)))
	}
	if err := n.sub.Disconnect(addrURI(link.Addr())); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond)
	n.wantResyncs()
}

// A publisher that left for good leaves little behind, and is known when it
// comes by another address.
func TestDormant(t *testing.T) {
	ctx := begin(t)
	sub := openSub(t, ctx, quick, func(c *driver.Config) { c.LostAfter = time.Millisecond })
	if err := sub.Subscribe(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	port := 0
	for i := range maxDormant + 20 {
		pub := openPub(t, ctx, func(c *driver.Config) { c.ID, c.Epoch, c.Port = fmt.Sprint("p", i), 7, port })
		if port == 0 {
			port = pub.Addr().(*net.TCPAddr).Port
			if err := sub.Connect(uri(pub)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sub.Await(ctx); err != nil {
			t.Fatal(err)
		}
		pub.Close()
		eventually(t, "the loss", func() bool { return sub.Status().Peers == 0 })
	}
	eventually(t, "all but the last to be gone", func() bool {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		for _, h := range sub.histories {
			if h.watching {
				return false
			}
		}
		return len(sub.histories) <= maxDormant+1
	})
}
