package zmq

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// redirect makes an address lead elsewhere: to another service, or to none.
func redirect(t testing.TB, p *proxy.Proxy, to net.Addr) *proxy.Proxy {
	t.Helper()
	at := proxy.Endpoint{Network: "tcp", Address: p.Addr().String()}
	p.Close()
	q, err := proxy.Listen(at, proxy.Endpoint{Network: "tcp", Address: to.String()}, proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// One service under two addresses is connected once. When that connection goes
// the other address takes over, and the stream goes on.
func TestN11TwoAddresses(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	links := []*proxy.Proxy{through(t, pub.Addr()), through(t, pub.Addr())}
	n := newNode(t, ctx, []string{"a"})
	n.meet(ctx, links[0].Addr(), links[1].Addr())
	for i := range 6 {
		eventually(t, "one connection", func() bool { return pub.Status().Peers == 1 && n.sub.Status().Peers == 1 })
		say(t, ctx, pub, "a", 1)
		n.waitFor("an event", isEvent("a", 0, uint64(2*i+1)))
		for _, l := range links {
			l.Refuse(false)
		}
		first := 0
		if links[1].Open() > 0 && links[0].Open() == 0 {
			first = 1
		}
		links[first].Refuse(true)
		links[first].Reset()
		say(t, ctx, pub, "a", 1)
		n.waitFor("an event by the other address", isEvent("a", 0, uint64(2*i+2)))
	}
	n.await(ctx)
	if got := n.check(); got != 12 {
		t.Errorf("%d events, want 12", got)
	}
	n.wantResyncs()
	if d := n.sub.Stats().Duplicates; d > 12 {
		t.Errorf("%d duplicates", d)
	}
	if !strings.Contains(n.log.String(), "publisher is connected already") {
		t.Error("nothing of it in the log")
	}
}

// When the service is gone neither address is tried without a pause.
func TestN11TwinsPause(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	links := []*proxy.Proxy{through(t, pub.Addr()), through(t, pub.Addr())}
	n := newNode(t, ctx, []string{"a"})
	n.meet(ctx, links[0].Addr(), links[1].Addr())
	eventually(t, "one connection", func() bool { return links[0].Open()+links[1].Open() == 1 })
	for _, l := range links {
		l.Refuse(true)
		l.Reset()
	}
	eventually(t, "the loss", func() bool { return n.sub.Status().Peers == 0 })
	time.Sleep(500 * time.Millisecond)
	for _, l := range links {
		// Pauses are 10 ms at least once they have grown.
		if tries := l.Counts().Refused; tries == 0 || tries > 60 {
			t.Errorf("tried %d times in half a second", tries)
		}
		l.Refuse(false)
	}
	n.await(ctx)
	n.wantResyncs()
}

// Disconnect of the address that is connected leaves the publisher to the other
// one; and if that leads nowhere, the publisher's end is still told.
func TestDisconnectTwin(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprint("alive=", alive), func(t *testing.T) {
			ctx := begin(t)
			pub := serviceOn(t, ctx, "p", 0)
			links := []*proxy.Proxy{through(t, pub.Addr()), through(t, pub.Addr())}
			n := newNode(t, ctx, []string{"a"}, func(c *driver.Config) { c.LostAfter = 150 * time.Millisecond })
			n.meet(ctx, links[0].Addr())
			n.meet(ctx, links[1].Addr())
			eventually(t, "the twin to be found", func() bool {
				return strings.Contains(n.log.String(), "publisher is connected already")
			})
			links[1].Refuse(!alive)
			if err := n.sub.Disconnect(addrURI(links[0].Addr())); err != nil {
				t.Fatal(err)
			}
			say(t, ctx, pub, "a", 1)
			if alive {
				n.waitFor("the event", isEvent("a", 0, 1))
				n.wantResyncs()
			} else {
				n.waitFor("the resync", isResync)
				n.wantResyncs("a: " + string(wyvern.ReasonLost))
			}
		})
	}
}

// The addresses of two services are swapped. Both streams go on.
func TestN11SwappedAddresses(t *testing.T) {
	ctx := begin(t)
	pubs := []*wyvern.Publisher{serviceOn(t, ctx, "p0", 0), serviceOn(t, ctx, "p1", 0)}
	links := []*proxy.Proxy{through(t, pubs[0].Addr()), through(t, pubs[1].Addr())}
	n := newNode(t, ctx, []string{"a", "b"})
	n.meet(ctx, links[0].Addr(), links[1].Addr())
	for i := range 4 {
		for _, p := range pubs {
			say(t, ctx, p, "a", 1)
			n.waitFor("an event", func(e wyvern.Event) bool { return e.Publisher == p.ID() && e.Seq == uint64(2*i+1) })
		}
		for j := range links {
			links[j].Close()
		}
		for _, p := range pubs {
			say(t, ctx, p, "a", 1)
		}
		for j := range links {
			links[j] = redirect(t, links[j], pubs[(i+j+1)%2].Addr())
		}
		n.await(ctx)
	}
	for _, p := range pubs {
		n.waitFor("the last event", func(e wyvern.Event) bool { return e.Publisher == p.ID() && e.Seq == 8 })
	}
	if got := n.check(); got != 16 {
		t.Errorf("%d events, want 16", got)
	}
	n.wantResyncs()
}

// Another service comes to the address of one that is gone: that one is told as
// lost, and comes back by another address, as one whose events were missed.
func TestN11AnotherService(t *testing.T) {
	ctx := begin(t)
	first, second := serviceOn(t, ctx, "first", 0), serviceOn(t, ctx, "second", 0)
	link := through(t, first.Addr())
	n := newNode(t, ctx, []string{"a"}, func(c *driver.Config) { c.LostAfter = 200 * time.Millisecond })
	n.meet(ctx, link.Addr())
	say(t, ctx, first, "a", 1)
	n.waitFor("the first event", isEvent("a", first.Epoch(), 1))
	redirect(t, link, second.Addr())
	n.waitFor("the resync", func(e wyvern.Event) bool { return isResync(e) && e.Publisher == "first" })
	n.await(ctx)
	say(t, ctx, second, "a", 1)
	n.waitFor("an event of the other", isEvent("a", second.Epoch(), 1))
	n.wantResyncs("a: " + string(wyvern.ReasonLost))
	say(t, ctx, first, "a", 1) // missed, and the last one
	n.meet(ctx, first.Addr())
	n.waitFor("the resync", func(e wyvern.Event) bool { return e.Reason == wyvern.ReasonGap && e.Publisher == "first" })
	say(t, ctx, first, "a", 1)
	n.waitFor("the next event", isEvent("a", first.Epoch(), 3))
	n.check()
	n.wantResyncs("a: "+string(wyvern.ReasonLost), "a: "+string(wyvern.ReasonGap))
}

// Two services were given one identity. That is in the log, nothing waits for
// ever, and nothing is lost in silence.
func TestN11OneIdentityTwice(t *testing.T) {
	ctx := begin(t)
	pubs := []*wyvern.Publisher{serviceOn(t, ctx, "p", 0), serviceOn(t, ctx, "p", 0)}
	links := []*proxy.Proxy{through(t, pubs[0].Addr()), through(t, pubs[1].Addr())}
	n := newNode(t, ctx, []string{"a"})
	n.meet(ctx, links[0].Addr(), links[1].Addr())
	if !strings.Contains(n.log.String(), "two services have one identity") {
		t.Errorf("nothing of it in the log:\n%s", n.log.String())
	}
	topics := names("t", 3)
	for i, topic := range topics {
		if err := n.sub.Subscribe(ctx, topic); err != nil {
			t.Fatal(err)
		}
		if i%3 == 1 {
			links[i%2].Reset()
			n.await(ctx)
		}
		for _, p := range pubs {
			before := time.Now()
			say(t, ctx, p, topic, 1)
			eventually(t, "an event, or a resync after it", func() bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				for j, e := range n.got {
					if e.Topic == topic && (e.Epoch == p.Epoch() || isResync(e) && n.at[j].After(before)) {
						return true
					}
				}
				return false
			})
		}
	}
	n.check()
}

// A publisher was restarted, and a connection to what was before is not known to
// be dead yet: what is new comes by the other address.
func TestRestartedBehindDeadConnection(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	links := []*proxy.Proxy{through(t, pub.Addr()), through(t, pub.Addr())}
	n := newNode(t, ctx, []string{"a"}, func(c *driver.Config) {
		c.HeartbeatInterval, c.HeartbeatTimeout, c.LostAfter = 50*time.Millisecond, 2500*time.Millisecond, 3*time.Second
	})
	n.meet(ctx, links[0].Addr())
	links[0].Apply(proxy.Both, proxy.Rule{Hold: true})
	port := portOf(pub)
	pub.Close()
	pub = serviceOn(t, ctx, "p", port)
	n.meet(ctx, links[1].Addr())
	n.waitFor("the resync", func(e wyvern.Event) bool { return e.Reason == wyvern.ReasonIncarnation })
	say(t, ctx, pub, "a", 1)
	n.waitFor("an event of the new one", isEvent("a", pub.Epoch(), 1))
	if strings.Contains(n.log.String(), errSilent.Error()) {
		t.Error("the dead connection was noticed too early for this test")
	}
	eventually(t, "the dead connection to be noticed", func() bool { return strings.Contains(n.log.String(), errSilent.Error()) })
	links[0].Heal()
	time.Sleep(600 * time.Millisecond) // LostAfter counts from the last sign of life
	n.await(ctx)
	n.wantResyncs("a: " + string(wyvern.ReasonIncarnation))
}
