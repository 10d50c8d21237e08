//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// A node of ours works with a publisher that is nothing but libzmq (contract: 3,
// "towards anything else the protocol is plain ZMTP").
func TestBarePublisher(t *testing.T) {
	t.Parallel()
	const count = 2000
	pub := startPeer(t, "publisher", peerConfig{Type: "PUB", Bind: "tcp://127.0.0.1:*", Options: map[string]int{"SNDHWM": 0}})
	_, sub := startSub(t, "sub", pub.uri, "D")
	ours := startSubscriber(t, "ours", pub.uri, "D")
	nodes := []*inbox{sub, ours.inbox}
	// A publisher on libzmq can't tell either when it was subscribed to.
	until(t, "the nodes are subscribed", func() bool {
		pub.order(t, order{Do: "send", Worker: "warm", Topic: "D", Count: 1})
		for _, n := range nodes {
			if !n.has("warm-0") {
				return false
			}
		}
		return true
	})
	pub.order(t, order{Do: "send", Worker: "w", Topic: "D", Count: count, Form: "old"})
	for _, n := range nodes {
		n.awaitKey(t, "w-1999")
		next := 0
		for _, e := range n.events() {
			if name, number, ok := e.worker(); ok && name == "w" {
				if number != next {
					t.Fatalf("node %s: event %d, expected %d", n.name, number, next)
				}
				next++
			}
		}
	}
}

// A worker of ours, and `wyvern pub`, work with a service that is nothing but
// libzmq, as Dragonflow's own is.
func TestBareService(t *testing.T) {
	t.Parallel()
	const count = 2000
	site := newSite(t)
	pull := startPeer(t, "service", peerConfig{Type: "PULL", Bind: "ipc://" + site.socket})
	w := startWorker(t, "ours", site.socket)
	for i := range count {
		w.publish(t, numberedEvent("ours", i, "D"))
	}
	w.flush(t)
	var lines strings.Builder
	for i := range count {
		lines.WriteString(jsonLine(t, numberedEvent("pub", i, "D")))
	}
	p := start(t, nil, checked, "pub", "--config-file", site.file, "--from", "-")
	if _, err := p.stdin.Write([]byte(lines.String())); err != nil {
		t.Fatal(err)
	}
	p.stdin.Close()
	if status := p.wait(t); status != 0 {
		t.Errorf("pub: exit status %d", status)
	}
	pull.awaitSets(t, 2*count)
	next := map[string]int{}
	for _, e := range pull.events() {
		name, number, ok := e.worker()
		if !ok || number != next[name] {
			t.Fatalf("event %v, expected number %d", e, next[name])
		}
		next[name]++
	}
}
