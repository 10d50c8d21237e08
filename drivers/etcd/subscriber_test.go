package etcd_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/etcd"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

func publish(t testing.TB, pub driver.Publisher, topic, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := pub.Publish(ctx, []driver.Message{{Topic: []byte(topic), Payload: []byte(text)}}); err != nil {
		t.Fatalf("Publish on %q: %v", topic, err)
	}
}

// wantMessage receives the next message, which must be this one.
func wantMessage(t testing.TB, sub driver.Subscriber, topic, text string, notice driver.Notice) {
	t.Helper()
	m := receive(t, sub)
	if string(m.Topic) != topic || string(m.Payload) != text || m.Notice != notice {
		t.Fatalf("got %q on %q, notice %v; want %q on %q, notice %v", m.Payload, m.Topic, m.Notice, text, topic, notice)
	}
}

// nasty are topics that another way to name keys would confuse.
var nasty = []string{
	"a", "ab", "a/", "a/b", "/", "//", "/a", "a0", "/pubsub/a", ".", "..", "a*", "a?", "[a]", "a b", " ", "\n", "\x00", "\x00\x00",
	"\x7f", "ä", "\u0600", "\U0010ffff", "a\x00", "a\x01", "wyvern:beat", "%61", strings.Repeat("ü", 127), "~",
}

// Each of them is itself alone: for who holds it, and for who takes all.
func TestTopicsAreKeys(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	pub, err := etcd.Driver{}.OpenPublisher(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	var subs []driver.Subscriber
	for _, topic := range nasty {
		sub, err := etcd.Driver{}.OpenSubscriber(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if err := sub.Subscribe(t.Context(), topic); err != nil {
			t.Fatalf("Subscribe(%q): %v", topic, err)
		}
		subs = append(subs, sub)
	}
	cfg.AllTopics = true
	all, err := etcd.Driver{}.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	for i, topic := range nasty {
		publish(t, pub, topic, fmt.Sprint(i))
	}
	for i, topic := range nasty {
		publish(t, pub, topic, "end") // what was not to come would have come before
		wantMessage(t, subs[i], topic, fmt.Sprint(i), driver.NoNotice)
		wantMessage(t, subs[i], topic, "end", driver.NoNotice)
		wantMessage(t, all, topic, fmt.Sprint(i), driver.NoNotice)
	}
}

// A key that is deleted is no event, and what others write is passed up.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	cfg.MaxPayload = 100
	_, sub := halves(t, cfg, "T")
	c, key := s.Client(nil), cfg.Params["prefix"]+"T"
	for _, text := range []string{"no event", "", strings.Repeat("x", 101), "end"} {
		if _, err := c.Put(t.Context(), key, text); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	wantMessage(t, sub, "T", "no event", driver.NoNotice)
	wantMessage(t, sub, "T", "", driver.NoNotice)
	wantMessage(t, sub, "T", "", driver.Gap) // too large for us
	wantMessage(t, sub, "T", "end", driver.NoNotice)
}

// What a watch has to catch up on comes in pieces, and is all there.
func TestFragments(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true, MaxRequestBytes: 64 << 10})
	cfg := site(s.Endpoint())
	cfg.AllTopics = true
	pub, _ := halves(t, cfg)
	sub, p := cut(t, s, cfg)
	p.Refuse(true)
	p.Reset()
	const rounds, count = 20, 60
	for round := range rounds {
		var msgs []driver.Message
		for i := range count {
			msgs = append(msgs, driver.Message{Topic: fmt.Append(nil, i), Payload: fmt.Appendf(nil, "%d %s", round, strings.Repeat("x", 1000))})
		}
		if _, err := pub.Publish(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
	}
	p.Refuse(false)
	for round := range rounds {
		for i := range count {
			if m := receive(t, sub); string(m.Topic) != fmt.Sprint(i) || !strings.HasPrefix(string(m.Payload), fmt.Sprint(round, " ")) {
				t.Fatalf("round %d, message %d: got %.20q on %q", round, i, m.Payload, m.Topic)
			}
		}
	}
	if etcd.Fragments(sub) == 0 {
		t.Error("nothing came in pieces")
	}
}

// cut is a subscriber behind a proxy, of which nothing comes back.
func cut(t *testing.T, s *etcdserver.Server, cfg driver.Config, topics ...string) (driver.Subscriber, *proxy.Proxy) {
	t.Helper()
	p := behind(t, s)
	cfg.Servers = []string{p.Addr().String()}
	sub, err := etcd.Driver{}.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	if len(topics) > 0 {
		if err := sub.Subscribe(t.Context(), topics...); err != nil {
			t.Fatal(err)
		}
	}
	return sub, p
}

// What was published while the connection was down is received when it is
// there again; what was compacted meanwhile is told, for the topics concerned.
func TestN8CompactedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("all=%v", all), func(t *testing.T) {
			s := etcdserver.Start(t, etcdserver.Options{Process: true})
			cfg := site(s.Endpoint())
			cfg.AllTopics = all
			pub, _ := halves(t, cfg)
			topics := []string{"T"}
			if all {
				topics = nil
			}
			sub, p := cut(t, s, cfg, topics...)
			publish(t, pub, "T", "before")
			wantMessage(t, sub, "T", "before", driver.NoNotice)
			p.Refuse(true)
			p.Reset()
			publish(t, pub, "T", "kept 1")
			publish(t, pub, "T", "kept 2")
			p.Refuse(false)
			wantMessage(t, sub, "T", "kept 1", driver.NoNotice)
			wantMessage(t, sub, "T", "kept 2", driver.NoNotice)

			p.Refuse(true)
			p.Reset()
			publish(t, pub, "T", "gone")
			publish(t, pub, "T", "last of the past")
			shortly(t, s, func(c *clientv3.Client) { compact(t, c) })
			publish(t, pub, "T", "after")
			p.Refuse(false)
			want := "T"
			if all {
				want = ""
			}
			wantMessage(t, sub, want, "", driver.Behind)
			// What is left of the past comes, too.
			wantMessage(t, sub, "T", "last of the past", driver.NoNotice)
			wantMessage(t, sub, "T", "after", driver.NoNotice)
			if got := sub.(driver.Statuser).Status(); got.Lost != 1 {
				t.Errorf("status %+v", got)
			}
		})
	}
}

// A quiet topic is not told of a compaction that passed nothing of it.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	cfg.Params["progress_interval"] = "100ms"
	pub, _ := halves(t, cfg)
	sub, p := cut(t, s, cfg, "quiet", "busy")
	at := etcd.Positions(sub)
	start := at["quiet"]
	for i := 0; at["quiet"] <= start; i++ {
		if i == 500 {
			t.Fatal("a quiet topic makes no progress")
		}
		publish(t, pub, "busy", fmt.Sprint(i))
		wantMessage(t, sub, "busy", fmt.Sprint(i), driver.NoNotice)
		pause(t, 20*time.Millisecond)
		at = etcd.Positions(sub)
	}
	reached := at["quiet"]
	p.Refuse(true)
	p.Reset()
	c := s.Client(nil)
	if _, err := c.Compact(t.Context(), reached-1); err != nil {
		t.Fatal(err)
	}
	publish(t, pub, "quiet", "first")
	p.Refuse(false)
	// Not even behind a Behind.
	wantMessage(t, sub, "quiet", "first", driver.NoNotice)
}

// A Subscribe that gives up leaves the topic to be watched later, which is told.
func TestConfirmedLater(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	pub, _ := halves(t, cfg)
	sub, p := cut(t, s, cfg, "T")
	p.Refuse(true)
	p.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := sub.Subscribe(ctx, "late"); err == nil {
		t.Fatal("Subscribe returned nil without a server")
	}
	p.Refuse(false)
	wantMessage(t, sub, "late", "", driver.Confirmed)
	publish(t, pub, "late", "now")
	wantMessage(t, sub, "late", "now", driver.NoNotice)
}

// A cluster that was made anew under the same address and names has other events
// under the same revisions.
func TestN8AnotherHistory(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	pub, sub := halves(t, cfg, "T")
	for i := range 20 {
		publish(t, pub, "T", fmt.Sprint(i))
		wantMessage(t, sub, "T", fmt.Sprint(i), driver.NoNotice)
	}
	s.Stop()
	s.Forget()
	s.Restart()
	wantMessage(t, sub, "", "", driver.Gap)
	publish(t, pub, "T", "new")
	wantMessage(t, sub, "T", "new", driver.NoNotice)
}

// A token that has expired is replaced, on watches, too.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true, TokenTTL: time.Second})
	enableAuth(t, s)
	cfg := with(s.Address(), "user", "user", "password", "right")
	pub, sub := halves(t, cfg, "T")
	pause(t, 2500*time.Millisecond) // nobody uses it meanwhile
	for i := range 2 {
		topic := fmt.Sprint("T", i)
		if err := sub.Subscribe(t.Context(), topic); err != nil {
			t.Fatalf("Subscribe: %v", err)
		}
		publish(t, pub, topic, "x")
		wantMessage(t, sub, topic, "x", driver.NoNotice)
		publish(t, pub, "T", "y")
		wantMessage(t, sub, "T", "y", driver.NoNotice)
	}
}

// Who does not receive costs a bounded amount of memory, holds up nobody, and
// gets everything later.
func TestMemoryOfSlowReader(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	cfg.Queue = 256 << 10
	pub, slow := halves(t, cfg, "T")
	_, fast := halves(t, cfg, "T")
	const size, count = 8 << 10, 600 // 5 MiB
	text := strings.Repeat("x", size)
	most := int64(0)
	for i := range count {
		publish(t, pub, "T", fmt.Sprint(i, " ", text))
		receive(t, fast)
		most = max(most, slow.(driver.Statuser).Status().Retained)
	}
	// One response past the queue; they are fragmented at 1.5 MiB.
	if most < cfg.Queue || most > cfg.Queue+2<<20 {
		t.Errorf("it held %d bytes, with a queue of %d", most, cfg.Queue)
	}
	for i := range count {
		if m := receive(t, slow); !strings.HasPrefix(string(m.Payload), fmt.Sprint(i, " ")) {
			t.Fatalf("message %d: got %.20q", i, m.Payload)
		}
	}
}

// A compaction passes a watcher that does not read.
func TestN8CompactedPastSlowReader(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	cfg.Queue = 64 << 10
	pub, sub := halves(t, cfg, "T")
	text := strings.Repeat("x", 64<<10)
	const count = 300 // more than queues, windows and the server's channel hold
	for i := range count {
		publish(t, pub, "T", fmt.Sprint(i, " ", text))
	}
	shortly(t, s, func(c *clientv3.Client) { compact(t, c) })
	publish(t, pub, "T", "end")
	var told bool
	next := 0
	for {
		m := receive(t, sub)
		if m.Notice == driver.Behind {
			told = true
			continue
		}
		if string(m.Payload) == "end" {
			break
		}
		var i int
		fmt.Sscan(string(m.Payload), &i)
		if i != next && !told {
			t.Fatalf("after %d came %d, and nobody was told", next-1, i)
		}
		next = i + 1
	}
	if !told {
		t.Error("nothing was lost: the fault did not strike")
	}
}
