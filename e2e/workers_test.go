//go:build linux

package e2e

import (
	"fmt"
	"testing"
)

// Every event that workers on libzmq send reaches every node, on libzmq and
// ours, once and in its worker's order, whichever msgpack wrote it (contract:
// I2, I3; "accept every msgpack string form").
func TestWorkersToNodes(t *testing.T) {
	t.Parallel()
	const count = 5000
	site := newSite(t)
	svc := site.serve(t)
	var nodes []*inbox
	for i := range 3 {
		nodes = append(nodes, startPeer(t, fmt.Sprintf("libzmq-%d", i), peerConfig{
			Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"},
		}).inbox)
	}
	nodes = append(nodes, startSubscriber(t, "ours", svc.uri, "D").inbox)
	sub, in := startSub(t, "sub", svc.uri, "D")
	nodes = append(nodes, in)
	startWorker(t, "herald", site.socket).warm(t, "D", nodes...)

	var workers []*zmqPeer
	var names []string
	for i := range 4 {
		name := fmt.Sprintf("w%d", i)
		workers = append(workers, startPeer(t, name, peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}}))
		names = append(names, name)
	}
	for i, w := range workers {
		w.order(t, order{Do: "send", Worker: names[i], Topic: "D", Count: count, Form: []string{"new", "old"}[i%2]})
	}
	for _, n := range nodes {
		n.awaitSets(t, len(workers)*count)
		n.checkComplete(t, names, count)
	}
	for _, w := range workers {
		w.stdin.Close()
		if status := w.wait(t); status != 0 {
			t.Errorf("worker %s: exit status %d", w.process.name, status)
		}
	}
	svc.drain(t)
	sub.alive(t)
}
