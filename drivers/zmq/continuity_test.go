package zmq

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// brisk are times for whole subscribers that are cut off again and again.
func brisk(c *driver.Config) {
	quick(c)
	c.ResyncSpread = 50 * time.Millisecond
}

// serviceOn opens a publisher of an identity; on a port, or any where that is 0.
func serviceOn(t testing.TB, ctx context.Context, id string, port int, edit ...func(*driver.Config)) *wyvern.Publisher {
	t.Helper()
	cfg := config(edit)
	cfg.Port = port
	p, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{Driver: Network{}, ID: id, Epoch: cfg.Epoch, Config: cfg})
	if err != nil {
		t.Fatalf("open publisher: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func portOf(p *wyvern.Publisher) int { return p.Addr().(*net.TCPAddr).Port }

// say publishes n events.
func say(t testing.TB, ctx context.Context, p *wyvern.Publisher, topic string, n int) {
	t.Helper()
	for range n {
		if err := p.Publish(ctx, wyvern.Event{Topic: topic, Action: "set", Key: "k"}); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
}

// through starts a proxy to a service.
func through(t testing.TB, to net.Addr) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
		proxy.Endpoint{Network: "tcp", Address: to.String()}, proxy.Options{ZMTP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// node is a whole subscriber, and all that its handler got.
type node struct {
	t   testing.TB
	sub *wyvern.Subscriber
	log logBook

	mu     sync.Mutex
	got    []wyvern.Event
	at     []time.Time
	before func(wyvern.Event) // called by the handler
}

// newNode opens a subscriber that is connected to nobody. No topics: to all.
func newNode(t testing.TB, ctx context.Context, topics []string, edit ...func(*driver.Config)) *node {
	t.Helper()
	n := &node{t: t}
	cfg := config(append([]func(*driver.Config){brisk}, edit...))
	cfg.AllTopics = topics == nil
	cfg.Log = slog.New(slog.NewTextHandler(&n.log, nil))
	sub, err := wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{Driver: Network{}, Handler: n.handle, Topics: topics, Config: cfg})
	if err != nil {
		t.Fatalf("open subscriber: %v", err)
	}
	t.Cleanup(func() { sub.Close() })
	n.sub = sub
	return n
}

func (n *node) handle(_ context.Context, e wyvern.Event) error {
	n.mu.Lock()
	n.got = append(n.got, e)
	n.at = append(n.at, time.Now())
	before := n.before
	n.mu.Unlock()
	if before != nil {
		before(e)
	}
	return nil
}

// meet connects, and waits until everything held is in force.
func (n *node) meet(ctx context.Context, addrs ...net.Addr) {
	n.t.Helper()
	for _, a := range addrs {
		if err := n.sub.Connect(addrURI(a)); err != nil {
			n.t.Fatal(err)
		}
	}
	n.await(ctx)
}

func (n *node) await(ctx context.Context) {
	n.t.Helper()
	if err := n.sub.Await(ctx); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) count(match func(wyvern.Event) bool) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := 0
	for _, e := range n.got {
		if match(e) {
			c++
		}
	}
	return c
}

func isEvent(topic string, epoch, seq uint64) func(wyvern.Event) bool {
	return func(e wyvern.Event) bool {
		return e.Topic == topic && e.Seq == seq && (epoch == 0 || e.Epoch == epoch)
	}
}

func isResync(e wyvern.Event) bool { return e.Reason != "" }

// waitFor waits until the handler got an event.
func (n *node) waitFor(what string, match func(wyvern.Event) bool) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); n.count(match) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain for %s; got %s\n%s", what, n.summary(), n.log.String())
		}
	}
}

// resyncs returns what was told so far, as topic and reason, sorted.
func (n *node) resyncs() (told []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.got {
		if isResync(e) {
			told = append(told, e.Topic+": "+string(e.Reason))
		}
	}
	slices.Sort(told)
	return told
}

func (n *node) wantResyncs(want ...string) {
	n.t.Helper()
	slices.Sort(want)
	if told := n.resyncs(); !slices.Equal(told, want) {
		n.t.Errorf("told %.2000q, want %.2000q\n%s", told, want, n.log.String())
	}
}

// each is one resync of every topic.
func each(topics []string, reason wyvern.Reason) (want []string) {
	for _, t := range topics {
		want = append(want, t+": "+string(reason))
	}
	return want
}

// check looks at the order of what came: no event twice or after a later one,
// and none missing without having been told since the one before. It returns
// how many events came.
func (n *node) check() (events int) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	type series struct {
		topic, publisher string
		epoch            uint64
	}
	last := make(map[series]uint64)
	told := make(map[string]bool)
	for _, e := range n.got {
		if isResync(e) {
			told[e.Topic] = true
			continue
		}
		events++
		s := series{e.Topic, e.Publisher, e.Epoch}
		switch before, seen := last[s]; {
		case seen && e.Seq <= before:
			n.t.Errorf("%s: %d after %d", e.Topic, e.Seq, before)
		case seen && e.Seq != before+1 && !told[e.Topic]:
			n.t.Errorf("%s: %d after %d, and nothing was told", e.Topic, e.Seq, before)
		}
		last[s], told[e.Topic] = e.Seq, false
	}
	return events
}

func (n *node) summary() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	for _, e := range n.got[max(0, len(n.got)-40):] {
		fmt.Fprintf(&b, "%s/%x/%d%s ", e.Topic, e.Epoch&0xfff, e.Seq, e.Reason)
	}
	return fmt.Sprintf("%d: %s", len(n.got), b.String())
}

func names(prefix string, n int) (topics []string) {
	for i := range n {
		topics = append(topics, fmt.Sprint(prefix, i))
	}
	return topics
}
