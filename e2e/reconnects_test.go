//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	breaker "github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

// sent is an event that a node has to get, or to be told of.
type sent struct{ key, topic string }

// awaitAll waits until a node has every event, or was told to resync its topic
// since so many events.
func awaitAll(t testing.TB, in *inbox, from int, events []sent) {
	t.Helper()
	in.until(t, fmt.Sprintf("%d events, or resyncs", len(events)), func(in *inbox) bool {
		events = slices.DeleteFunc(events, func(s sent) bool { return in.keys[s.key] > 0 })
		for _, e := range in.all[from:] {
			if len(events) > 0 && e.Reason != "" {
				events = slices.DeleteFunc(events, func(s sent) bool { return s.topic == e.topic() })
			}
		}
		return len(events) == 0
	})
}

// A node with thousands of topics loses its connection again and again, at any
// moment: while events come, while it is away, and while it asks for its topics
// again. Each time every topic is in force afterwards, and nothing is missing; it
// is told of each topic when the service was killed, once, and otherwise of none
// (failures: N5).
func TestN5Reconnects(t *testing.T) { // not beside others: it is a load for them
	const many = 20000
	rounds, crashes := 30, 10 // one round in so many is a crash
	if *long > 0 {
		rounds, crashes = 1000, 50
	}
	site := newFixedSite(t, "log_level = info")
	svc := site.serveWith(t, plain)
	link, uri := zmqProxy(t, svc.address)
	topics := make([]string, many)
	for i := range topics {
		topics[i] = "topic number " + itoa(i)
	}
	node := tuned(t, "node", []string{uri}, topics, nil)
	w := startWorker(t, "w", site.socket)
	next := 0
	var due []sent
	publish := func(count int) {
		t.Helper()
		for range count {
			next++
			s := sent{"event " + itoa(next), topics[rand.IntN(many)]}
			due = append(due, s)
			w.publish(t, wyvern.Event{Table: "t", Key: s.key, Action: "set", Topic: s.topic})
		}
	}
	crashed, within := 0, 0
	began := time.Now()
	for round := range rounds {
		from := node.count()
		publish(3)
		if round%crashes == crashes-1 {
			svc.kill(t)
			crashed++
			svc = site.serveWith(t, plain)
			node.until(t, "a resync of every topic", func(in *inbox) bool { return in.actions["sync"] >= crashed*many })
		} else {
			twice := round%2 == 0
			if twice { // it takes its time to ask for its topics: about half a second
				link.Apply(breaker.Up, breaker.Rule{Rate: 1 << 20})
			}
			before := link.Counts()
			if link.Reset() == 0 {
				t.Fatal("nothing was cut")
			}
			publish(3)
			until(t, "it has connected again", func() bool { return link.Counts().Accepted > before.Accepted })
			if twice { // again, meanwhile
				const all = 20 * many // bytes, at least
				some := rand.Int64N(all)
				until(t, "it asks for topics", func() bool { return link.Counts().Minus(before).Passed >= some })
				if passed := link.Counts().Minus(before).Passed; link.Reset() > 0 && passed < all {
					within++
				}
				link.Apply(breaker.Up, breaker.Rule{})
				publish(3)
			}
		}
		until(t, "it is connected", func() bool { return link.Open() == 1 && node.Status().Peers == 1 })
		if err := node.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		publish(3)
		awaitAll(t, node.inbox, from, due)
		due = due[:0]
	}
	n := link.Counts()
	t.Logf("%d topics, %d connections and %d crashes in %s; %d cuts while it asked for topics", many, n.Accepted, crashed, time.Since(began), within)
	if n.Reset < int64(rounds-crashed) || within == 0 {
		t.Errorf("the link did %+v; %d cuts while the node asked for its topics", n, within)
	}
	told := resyncs(node.inbox)
	for _, topic := range topics {
		what := topic + ": " + string(wyvern.ReasonIncarnation)
		if told[what] != crashed {
			t.Errorf("told %d times of %s, want %d", told[what], what, crashed)
		}
		delete(told, what)
		if t.Failed() {
			break
		}
	}
	if len(told) > 0 {
		t.Errorf("told %.2000v besides", told)
	}
	checkAll(t, node.inbox)
}

// checkAll is checkTold for every topic.
func checkAll(t testing.TB, in *inbox) {
	t.Helper()
	byTopic := map[string]*inbox{}
	for _, e := range in.events() {
		if byTopic[e.topic()] == nil {
			byTopic[e.topic()] = newInbox(in.name)
		}
		byTopic[e.topic()].put(e)
	}
	for topic, part := range byTopic {
		checkTold(t, part, topic)
	}
}
