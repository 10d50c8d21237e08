//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
)

// topicsOf returns what a node got besides warm-up events, by the keys that the
// test chose.
func topicsOf(in *inbox, action string) []string {
	var got []string
	for _, e := range in.events() {
		if e.action() == action {
			got = append(got, e.key())
		}
	}
	return got
}

// A node of ours gets the topics that it holds and no others, a node on libzmq
// those that begin so (contract: I1; "ZMQ subscriptions are prefixes").
func TestNodeFilters(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"ab", "fence"}})
	ours := startSubscriber(t, "ours", svc.uri, "ab", "fence")
	_, sub := startSub(t, "sub", svc.uri, "ab", "fence")
	w := startWorker(t, "w", site.socket)
	w.warm(t, "ab", theirs.inbox, ours.inbox, sub)
	w.warm(t, "fence", theirs.inbox, ours.inbox, sub)

	for _, topic := range []string{"a", "ab", "abc", "b", "ab\x00", "AB", "D"} {
		w.publish(t, wyvern.Event{Table: "t", Key: topic, Action: "set", Topic: topic})
	}
	w.publish(t, wyvern.Event{Table: "t", Key: "end", Action: "log", Topic: "fence"})
	for _, tt := range []struct {
		node *inbox
		want []string
	}{
		{theirs.inbox, []string{"ab", "abc", "ab\x00"}},
		{ours.inbox, []string{"ab"}},
		{sub, []string{"ab"}},
	} {
		tt.node.awaitKey(t, "end")
		if got := topicsOf(tt.node, "set"); !slices.Equal(got, tt.want) {
			t.Errorf("node %s got %q, want %q", tt.node.name, got, tt.want)
		}
	}
}

// A node on libzmq that subscribes twice and unsubscribes once still has its
// subscription, as with a publisher on libzmq; after as many of these as of
// those it has not.
func TestNodeSubscribesTwice(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	node := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"x", "x", "xyz"}})
	w := startWorker(t, "w", site.socket)
	w.warm(t, "xyz", node.inbox)

	fences := 0
	// fence waits until what the node has asked for before is in force: its
	// requests take one connection, in order.
	fence := func() {
		fences++
		topic := fmt.Sprintf("fence%d", fences)
		node.order(t, order{Do: "subscribe", Topic: topic})
		w.warm(t, topic, node.inbox)
	}
	publish := func(round string) {
		for _, topic := range []string{"x", "xy", "xyz"} {
			w.publish(t, wyvern.Event{Table: "t", Key: round + topic, Action: "set", Topic: topic})
		}
		key := "end" + round
		w.publish(t, wyvern.Event{Table: "t", Key: key, Action: "log", Topic: fmt.Sprintf("fence%d", fences)})
		node.awaitKey(t, key)
	}
	fence()
	publish("1")
	node.order(t, order{Do: "unsubscribe", Topic: "x"})
	fence()
	publish("2")
	node.order(t, order{Do: "unsubscribe", Topic: "x"})
	fence()
	publish("3") // only what the longer one matches
	node.order(t, order{Do: "unsubscribe", Topic: "never"})
	node.order(t, order{Do: "unsubscribe", Topic: "xyz"})
	fence()
	publish("4") // nothing
	node.order(t, order{Do: "subscribe", Topic: "x"})
	fence()
	publish("5")
	want := []string{"1x", "1xy", "1xyz", "2x", "2xy", "2xyz", "3xyz", "5x", "5xy", "5xyz"}
	if got := topicsOf(node.inbox, "set"); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A node of ours that drops a topic gets nothing of it any more, and again when
// it has taken it up again.
func TestNodeUnsubscribes(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	node := startSubscriber(t, "ours", svc.uri, "x", "fence")
	w := startWorker(t, "w", site.socket)
	publish := func(round string) {
		w.publish(t, wyvern.Event{Table: "t", Key: round, Action: "set", Topic: "x"})
		w.publish(t, wyvern.Event{Table: "t", Key: "end" + round, Action: "log", Topic: "fence"})
		node.awaitKey(t, "end"+round)
	}
	publish("1")
	if err := node.Unsubscribe(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	publish("2")
	if err := node.Subscribe(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	publish("3")
	if got, want := topicsOf(node.inbox, "set"), []string{"1", "3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The service sends peers that are known to be ours what they hold by equality,
// and does not leave it to them to throw the rest away (contract: 3).
func TestServiceFiltersForOurs(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	node := dial(t, svc.address)
	property := append([]byte("\x08X-Wyvern"), 0, 0, 0, 1, '1')
	hello := ready("SUB")[2:]
	node.shakeWith(shortFrame(4, append(hello, property...)))
	for _, topic := range []string{"ab", "fence"} {
		node.write(shortFrame(0, append([]byte{1}, topic...)))
	}
	node.write(shortFrame(4, []byte("\x04PING\x00\x00c")))
	if flags, body := node.frame(); flags&4 == 0 || string(body) != "\x04PONGc" {
		t.Fatalf("got %q, want a PONG", body)
	}
	w := startWorker(t, "w", site.socket)
	for _, topic := range []string{"a", "ab", "abc", "fence1", "D", "ab", "fence"} {
		w.publish(t, wyvern.Event{Table: "t", Key: "k", Action: "set", Topic: topic})
	}
	var got []string
	for len(got) == 0 || got[len(got)-1] != "fence" {
		flags, topic := node.frame()
		if flags&4 != 0 {
			continue // a heartbeat
		}
		node.frame() // the body
		got = append(got, string(topic))
	}
	if want := []string{"ab", "ab", "fence"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
