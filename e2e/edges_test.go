//go:build linux

package e2e

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
	breaker "github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

// pretend leaves a state file as of a service that had given these numbers.
func (s *site) pretend(t testing.TB, epoch uint64, last map[string]uint64) {
	t.Helper()
	head := []byte("wyvern hand-over 1\n")
	text := func(v string) { head = append(binary.AppendUvarint(head, uint64(len(v))), v...) }
	text("e2e")
	head = binary.BigEndian.AppendUint64(head, epoch)
	head = binary.BigEndian.AppendUint64(head, 0)
	head = binary.AppendUvarint(head, uint64(len(last)))
	for topic, n := range last {
		text(topic)
		head = binary.AppendUvarint(head, n)
	}
	head = binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head))
	head = append(head, 0) // nothing retained
	file := filepath.Join(s.dir, filepath.Base(s.socket)+".state")
	if err := os.WriteFile(file, append([]byte("wyvern state saved\n"), head...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// zmqProxy starts a proxy that follows messages.
func zmqProxy(t testing.TB, target string) (link *breaker.Proxy, uri string) {
	t.Helper()
	p, err := breaker.Listen(breaker.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
		breaker.Endpoint{Network: "tcp", Address: target}, breaker.Options{ZMTP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, "tcp://" + p.Addr().String()
}

// Numbers pass 2^32 and reach 2^64-1 by worker, service, wire and nodes, over a
// planned restart at the edge, and with a loss at it; where they end the topic's
// events are refused, which who holds it is told, and other topics go on (failures:
// S5).
func TestS5NumbersToTheirEnd(t *testing.T) {
	t.Parallel()
	const epoch = 1<<64 - 1
	site := newFixedSite(t)
	site.pretend(t, epoch, map[string]uint64{"t32": 1<<32 - 3, "t64": math.MaxUint64 - 4})
	svc := site.serve(t)
	link, uri := zmqProxy(t, svc.address)
	ours := tuned(t, "ours", []string{uri}, []string{"t32", "t64"}, nil)
	_, sub := startSub(t, "sub", svc.uri, "t32", "t64", "D")
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"t32", "t64", "D"}})
	startWorker(t, "herald", site.socket).warm(t, "D", theirs.inbox, sub)
	w := startWorker(t, "w", site.socket)
	send := func(topic, key string) {
		w.publish(t, wyvern.Event{Table: "t", Key: key, Action: "set", Topic: topic})
	}
	nodes := []*inbox{ours.inbox, sub, theirs.inbox}
	send("t32", "fffffffe")
	send("t64", "fffffffffffffffc")
	send("t32", "ffffffff")
	send("t64", "fffffffffffffffd")
	for _, n := range nodes {
		n.awaitKey(t, "fffffffffffffffd")
	}
	svc.drain(t)
	svc = site.serve(t)
	until(t, "the node has come back", func() bool { return ours.Status().Peers == 1 })
	startWorker(t, "herald", site.socket).warm(t, "D", theirs.inbox, sub)

	link.Swallow(func(topic, _ []byte) bool { return string(topic) == "t32" })
	send("t32", "100000000")
	send("t64", "fffffffffffffffe")
	send("t32", "100000001")
	send("t64", "ffffffffffffffff")
	for _, n := range nodes {
		n.awaitKey(t, "100000001")
		n.awaitKey(t, "ffffffffffffffff")
	}
	if link.Counts().Swallowed != 1 {
		t.Error("nothing was lost on the way")
	}
	send("t64", "too many")
	svc.stderr.await(t, "event refused", "numbers are used up")
	for _, n := range nodes { // there is no number for that either
		n.until(t, "a sync of the topic", func(in *inbox) bool {
			return slices.ContainsFunc(in.all, func(e *event) bool {
				return e.action() == "sync" && e.topic() == "t64" && e.Seq == 0 && e.Reason == ""
			})
		})
	}
	send("t32", "100000002")
	for _, n := range nodes {
		n.awaitKey(t, "100000002")
		if n.has("too many") {
			t.Errorf("node %s has an event without a number", n.name)
		}
		want := map[string]uint64{
			"fffffffe": 1<<32 - 2, "ffffffff": 1<<32 - 1, "100000000": 1 << 32, "100000001": 1<<32 + 1, "100000002": 1<<32 + 2,
			"fffffffffffffffc": math.MaxUint64 - 3, "fffffffffffffffd": math.MaxUint64 - 2, "fffffffffffffffe": math.MaxUint64 - 1, "ffffffffffffffff": math.MaxUint64,
		}
		for _, e := range n.events() {
			if seq, some := want[e.key()]; some && e.action() == "set" {
				if e.Seq != seq || e.Epoch != epoch {
					t.Errorf("node %s: %v, want number %d of epoch %d", n.name, e, seq, uint64(epoch))
				}
				delete(want, e.key())
			}
		}
		if n == ours.inbox {
			delete(want, "100000000") // by the next number it knows, and is told
		}
		if len(want) > 0 {
			t.Errorf("node %s misses %v", n.name, want)
		}
	}
	for _, topic := range []string{"t32", "t64"} {
		checkTold(t, ours.inbox, topic)
	}
	if got := resyncs(ours.inbox); got["t32: "+string(wyvern.ReasonGap)] != 1 || len(got) != 1 {
		t.Errorf("told %v, want one gap in t32", got)
	}
	svc.drain(t)
}
