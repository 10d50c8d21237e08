//go:build linux

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
)

// A node on libzmq, at its default settings, whose connection is cut connects
// again and goes on receiving; so does one of ours (failures: N4).
func TestN4ConnectionCut(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	proxy := startProxy(t, svc.address)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{proxy.uri()}, Topics: []string{"D"}, Monitor: true})
	ours := startSubscriber(t, "ours", proxy.uri(), "D")
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", theirs.inbox, ours.inbox)
	for round := 1; round <= 3; round++ {
		before := proxy.count()
		proxy.cut()
		until(t, "both have connected again", func() bool { return proxy.count() >= before+2 })
		w.warm(t, "D", theirs.inbox, ours.inbox)
		key := fmt.Sprintf("round %d", round)
		w.publish(t, wyvern.Event{Table: "t", Key: key, Action: "set", Topic: "D"})
		theirs.awaitKey(t, key)
		ours.awaitKey(t, key)
	}
	theirs.stdout.await(t, "DISCONNECTED")
}

// A service that is killed under load, and started again on the same socket and
// port, takes over the stale socket; workers and nodes, on libzmq and ours, go on
// without a restart of their own. Whatever was lost with it is told (failures: C7,
// C5, S1).
func TestC7ServiceKilled(t *testing.T) {
	t.Parallel()
	site := newFixedSite(t)
	svc := site.serve(t)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	ours := startSubscriber(t, "ours", svc.uri, "D")
	_, sub := startSub(t, "sub", svc.uri, "D")
	nodes := []*inbox{theirs.inbox, ours.inbox, sub}
	startWorker(t, "herald", site.socket).warm(t, "D", nodes...)

	libzmq := startPeer(t, "w0", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}})
	libzmq.order(t, order{Do: "send", Worker: "w0", Topic: "D", Every: 5}) // until it is told to stop
	w := startWorker(t, "w1", site.socket)
	stop := w.keepSending(t, "D")

	const enough = 300
	// underWay waits until each node has that many events of each worker since
	// the given epochs.
	seen := make([]int, len(nodes))
	epochs := map[uint64]bool{}
	underWay := func() {
		t.Helper()
		var now uint64
		for i, n := range nodes {
			count := map[string]int{}
			n.until(t, "events of both workers, of a new epoch", func(in *inbox) bool {
				for ; seen[i] < len(in.all); seen[i]++ {
					e := in.all[seen[i]]
					if name, _, ok := e.worker(); ok && !epochs[e.Epoch] {
						count[name]++
						now = e.Epoch
					}
				}
				return count["w0"] >= enough && count["w1"] >= enough
			})
		}
		epochs[now] = true
	}
	underWay()
	killed := 0 // what it had when the service was killed
	for range 2 {
		pid := svc.pid()
		svc.kill(t)
		killed = len(theirs.events())
		svc = site.serve(t)
		if svc.pid() == pid {
			t.Fatal("it is still the same process")
		}
		underWay()
	}
	if len(epochs) != 3 {
		t.Errorf("%d epochs, want 3", len(epochs))
	}
	// A node on libzmq is told in its own time, perhaps once for both.
	theirs.until(t, "a sync since the last crash", func(in *inbox) bool {
		return slices.ContainsFunc(in.all[killed:], func(e *event) bool { return e.action() == "sync" })
	})
	libzmq.order(t, order{Do: "stop"})
	libzmq.stdout.await(t, `"sent"`)
	last := itoa(stop() - 1)
	w.flush(t)
	for _, n := range nodes {
		n.awaitKey(t, "w1-"+last)
	}
	svc.drain(t)

	// Whatever a node misses, of what workers were told is accepted, is covered
	// by what it was told afterwards.
	for _, n := range nodes {
		for _, name := range []string{"w0", "w1"} {
			missing := checkWorker(t, n, name, "D", n != theirs.inbox)
			t.Logf("node %s misses %d events of worker %s", n.name, missing, name)
		}
	}

	// What was lost was lost with a service: within an epoch all is in order
	// and nothing missing, from the first event on that the node got.
	for _, n := range nodes {
		type stream struct {
			epoch  uint64
			worker string
		}
		last := map[stream]int{}
		order := map[string]int{}
		seqs := map[uint64]uint64{}
		for _, e := range n.events() {
			if e.Reason == "" && seqs[e.Epoch] != 0 && e.Seq != seqs[e.Epoch]+1 {
				t.Fatalf("node %s: number %d follows %d", n.name, e.Seq, seqs[e.Epoch])
			}
			seqs[e.Epoch] = e.Seq
			name, number, ok := e.worker()
			if !ok {
				continue
			}
			s := stream{e.Epoch, name}
			if before, some := last[s]; some && number != before+1 {
				t.Fatalf("node %s, worker %s: event %d follows %d in epoch %d", n.name, name, number, before, e.Epoch)
			}
			if before, some := order[name]; some && number <= before {
				t.Fatalf("node %s, worker %s: event %d follows %d", n.name, name, number, before)
			}
			last[s], order[name] = number, number
		}
	}
}

// A node of ours that is behind when its service is killed, with events in its
// hands and in its socket, notices the loss all the same, connects to the next
// one and goes on; and it can be closed.
func TestC7ServiceKilledBeforeSlowNode(t *testing.T) {
	t.Parallel()
	site := newFixedSite(t)
	svc := site.serve(t)
	in := newInbox("slow")
	gate := make(chan struct{})
	busy := make(chan struct{}, 1)
	s, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Alias:   "zmq_pubsub_driver",
		Topics:  []string{"D"},
		Connect: []string{svc.uri},
		Handler: func(_ context.Context, e wyvern.Event) error {
			select {
			case busy <- struct{}{}:
			default:
			}
			<-gate
			in.put(fromEvent(e))
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := s.Await(ctx); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, "w", site.socket)
	// More than the node's driver takes while the handler does not.
	const count = 20000
	value := strings.Repeat("x", 500)
	for i := range count {
		e := numberedEvent("w", i, "D")
		e.Value = value
		w.publish(t, e)
	}
	w.flush(t)
	<-busy
	svc.kill(t)
	svc = site.serve(t)
	open()
	w.warm(t, "D", in)
	// What it has is a beginning, without holes, of what was sent.
	next := 0
	for _, e := range in.events() {
		if _, number, ok := e.worker(); ok {
			if number != next {
				t.Fatalf("event %d, expected %d", number, next)
			}
			next++
		}
	}
	if next == 0 || next == count {
		t.Errorf("the node has %d of %d events: it was not behind", next, count)
	}
	svc.drain(t)
}
