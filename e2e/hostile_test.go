//go:build linux

package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
)

// An attack is what a hostile or broken peer does. address is where the service
// takes such peers.
type attack struct {
	name string
	do   func(t testing.TB, address string)
	log  []string // a line on the service's standard error has all of these
	sync bool     // holders of topic D are told to resync
}

// bytesThenEnd sends bytes without a handshake and expects to be thrown out.
func bytesThenEnd(p []byte) func(testing.TB, string) {
	return func(t testing.TB, address string) {
		c := dial(t, address)
		c.write(p)
		c.awaitEnd()
		c.Close()
	}
}

// shakeThen performs a handshake and sends bytes; end: it expects to be thrown
// out for them.
func shakeThen(socketType string, end bool, p []byte) func(testing.TB, string) {
	return func(t testing.TB, address string) {
		c := dial(t, address)
		c.shake(socketType)
		c.write(p)
		if end {
			c.awaitEnd()
			c.Close()
		}
	}
}

// zmqOfType is a peer on libzmq whose socket has no business here.
func zmqOfType(socketType string) func(testing.TB, string) {
	return func(t testing.TB, address string) {
		uri := "tcp://" + address
		if networkOf(address) == "unix" {
			uri = "ipc://" + address
		}
		startPeer(t, socketType, peerConfig{Type: socketType, Connect: []string{uri}})
	}
}

// greetings that are not ours to understand.
var (
	zmtp1   = []byte{1, 0}
	zmtp2   = append(append([]byte{0xff}, make([]byte, 8)...), 0x7f, 1, 5, 0, 0)
	garbage = bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 64)
	curve   = append(append(greeting()[:12:12], "CURVE"...), make([]byte, 47)...)
)

// handshakes are attacks before there is a connection, on any socket.
func handshakes() []attack {
	return []attack{
		{"garbage", bytesThenEnd(garbage), []string{"refused", "signature"}, false},
		{"zmtp 1.0", bytesThenEnd(zmtp1), []string{"refused", "zmtp 1.0"}, false},
		{"zmtp 2.0", bytesThenEnd(zmtp2), []string{"refused", "zmtp 2.0"}, false},
		{"curve", bytesThenEnd(curve), []string{"refused", "CURVE"}, false},
		{"no socket", bytesThenEnd(append(greeting(), shortFrame(4, []byte("\x05READY"))...)), []string{"refused", "Socket-Type"}, false},
		{"endless ready", bytesThenEnd(append(greeting(), longHeader(4, 1<<40)...)), []string{"refused", "too large"}, false},
		{"message too soon", bytesThenEnd(append(greeting(), message([]byte("D"), nil)...)), []string{"refused", "before the end of the handshake"}, false},
	}
}

// onWorkers are attacks on the socket of the workers.
func onWorkers() []attack {
	push := func(frames ...[]byte) func(testing.TB, string) {
		return shakeThen("PUSH", false, message(frames...))
	}
	good := eventBody("D", "k", nil)
	nested := append(bytes.Repeat([]byte{0x91}, 100000), 0xc0)
	inEvent := func(value []byte) []byte { // as the value of an event
		return append(append([]byte("\x85\xa5table\xa1t\xa3key\xa1k\xa6action\xa3set\xa5topic\xa1D\xa5value"), value...), 0xc0)
	}
	return append(handshakes(), []attack{
		{"req", zmqOfType("REQ"), []string{"refused", "REQ"}, false},
		{"length 2^63", shakeThen("PUSH", true, longHeader(0, 1<<63)), []string{"refused", "zmtp"}, false},
		{"length 2^64-1", shakeThen("PUSH", true, longHeader(0, 1<<64-1)), []string{"refused", "zmtp"}, false},
		{"frame too large", shakeThen("PUSH", true, longHeader(0, 64<<20)), []string{"refused", "too large"}, false},
		{"body too large", shakeThen("PUSH", true, append(shortFrame(1, []byte("D")), longHeader(0, 2<<20)...)), []string{"refused", "too large"}, false},
		{"reserved flags", shakeThen("PUSH", true, []byte{0xf8, 0}), []string{"refused", "zmtp"}, false},
		{"one frame", push(good), []string{"one frame"}, false},
		{"three frames", push([]byte("D"), good, good), []string{"more than two frames"}, false},
		{"not msgpack", push([]byte("D"), []byte{0xc1, 0xff}), []string{"event refused"}, true},
		{"json", push([]byte("D"), []byte(`{"table": "lport"}`)), []string{"event refused"}, true},
		{"empty body", push([]byte("D"), nil), []string{"event refused"}, true},
		{"cut short", push([]byte("D"), good[:len(good)-1]), []string{"event refused"}, true},
		{"more behind", push([]byte("D"), append(good[:len(good):len(good)], 0)), []string{"event refused"}, true},
		{"nested deeply", push([]byte("D"), nested), []string{"event refused"}, true},
		{"nested deeply in an event", push([]byte("D"), inEvent(nested)), []string{"event refused"}, true},
		{"array of 2^32", push([]byte("D"), inEvent([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})), []string{"event refused"}, true},
		{"map of 2^32", push([]byte("D"), []byte{0xdf, 0xff, 0xff, 0xff, 0xff}), []string{"event refused"}, true},
		{"text of 2^32", push([]byte("D"), inEvent([]byte{0xdb, 0xff, 0xff, 0xff, 0xff})), []string{"event refused"}, true},
		{"topic not utf-8", push([]byte{0xff, 0xfe}, good), []string{"event refused", "topic"}, false},
		{"topic of 256 bytes", push(bytes.Repeat([]byte("t"), 256), good), []string{"event refused", "topic"}, false},
		{"empty topic", push(nil, good), []string{"event refused", "topic"}, false},
	}...)
}

// onNodes are attacks on the port of the nodes.
func onNodes() []attack {
	sub := func(topic []byte) []byte { return message(append([]byte{1}, topic...)) }
	var many []byte
	for i := range 2000 {
		many = append(many, sub(fmt.Appendf(nil, "t%d", i))...)
	}
	return append(handshakes(), []attack{
		{"pub", zmqOfType("PUB"), []string{"refused", "PUB"}, false},
		{"push", zmqOfType("PUSH"), []string{"refused", "PUSH"}, false},
		{"length 2^63", shakeThen("SUB", true, longHeader(0, 1<<63)), []string{"refused", "zmtp"}, false},
		{"frame too large", shakeThen("SUB", true, longHeader(0, 64<<20)), []string{"refused", "too large"}, false},
		{"reserved flags", shakeThen("SUB", true, []byte{0xf8, 0}), []string{"refused", "zmtp"}, false},
		{"an event", shakeThen("SUB", false, message([]byte("D"), eventBody("D", "k", nil))), []string{"subscri"}, false},
		{"not a subscription", shakeThen("SUB", false, message([]byte("D"))), []string{"subscri"}, false},
		{"empty message", shakeThen("SUB", false, message(nil)), []string{"subscri"}, false},
		{"too many subscriptions", shakeThen("SUB", true, many), []string{"too many subscriptions"}, false},
	}...)
}

// harmless are peers of the nodes' port that are odd and nothing to complain of:
// prefixes may be any bytes.
func harmless() []attack {
	sub := func(topic []byte) []byte { return message(append([]byte{1}, topic...)) }
	return []attack{
		{"prefix not utf-8", shakeThen("SUB", false, sub([]byte{0xff, 0xfe})), nil, false},
		{"prefix of 256 bytes", shakeThen("SUB", false, sub(bytes.Repeat([]byte("t"), 256))), nil, false},
		{"empty prefix", shakeThen("SUB", false, sub(nil)), nil, false},
	}
}

// Whatever a peer sends: a line of the log says so, and a good worker and a good
// node beside it notice nothing, besides being told of an event that could not
// be understood (contract: 4, I11; failures: X1, W8).
func TestX1HostilePeers(t *testing.T) {
	t.Parallel()
	for _, side := range []struct {
		name    string
		address func(*service) string
		attacks []attack
	}{
		{"worker", func(s *service) string { return s.socket }, onWorkers()},
		{"node", func(s *service) string { return s.address }, append(onNodes(), harmless()...)},
	} {
		for _, a := range side.attacks {
			t.Run(side.name+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				// A service for each: lines of the log are bounded in rate.
				site := newSite(t, "max_subscriptions = 1000")
				svc := site.serveWith(t, plain)
				node := startSubscriber(t, "ours", svc.uri, "D")
				w := startWorker(t, "w", site.socket)
				w.send(t, "D", 100)
				a.do(t, side.address(svc))
				if a.log != nil {
					svc.stderr.await(t, append([]string{"level=WARN"}, a.log...)...)
				}
				if a.sync {
					node.until(t, "a sync", func(in *inbox) bool { return in.actions["sync"] > 0 })
				}
				w.send(t, "D", 100)
				node.awaitSets(t, 200)
				node.checkComplete(t, []string{"w"}, 200)
				for _, e := range node.events() {
					if e.action() == "sync" && !a.sync || e.Reason != "" {
						t.Errorf("the node was told %v", e)
					}
				}
				svc.drain(t)
			})
		}
	}
}

// All of it at once and again and again, beside workers and nodes on libzmq and
// ours that get everything; the service's memory stays what it was (contract: 4;
// failures: S9, X1).
func TestX1HostileCrowd(t *testing.T) {
	t.Parallel()
	const count, rounds = 3000, 15
	const margin = 64 << 20
	site := newSite(t, "max_subscriptions = 1000", "retention = 8MiB", "log_level = info")
	svc := site.serveWith(t, plain)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	ours := startSubscriber(t, "ours", svc.uri, "D")
	nodes := []*inbox{theirs.inbox, ours.inbox}
	startWorker(t, "herald", site.socket).warm(t, "D", nodes...)
	_, before := svc.memory(t)

	libzmq := startPeer(t, "w0", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}})
	libzmq.order(t, order{Do: "send", Worker: "w0", Topic: "D", Count: count, Every: 5})
	w := startWorker(t, "w1", site.socket)
	var wg sync.WaitGroup
	wg.Go(func() {
		for w.next < count {
			if err := w.Publish(t.Context(), numberedEvent("w1", w.next, "D")); err != nil {
				t.Errorf("worker w1: %v", err)
				return
			}
			w.next++
		}
	})
	done := 0
	for range rounds {
		for _, list := range []struct {
			address string
			attacks []attack
		}{{svc.socket, onWorkers()}, {svc.address, onNodes()}} {
			for _, a := range list.attacks {
				if a.name == "req" || a.name == "pub" || a.name == "push" {
					continue // these are processes
				}
				a.do(t, list.address)
				done++
			}
		}
	}
	wg.Wait()
	for _, n := range nodes {
		n.awaitSets(t, 2*count)
		n.checkComplete(t, []string{"w0", "w1"}, count)
	}
	_, peak := svc.memory(t)
	t.Logf("%d attacks; peak of memory %d MiB, %d MiB before", done, peak>>20, before>>20)
	if peak > before+margin {
		t.Errorf("memory grew from %d to %d MiB", before>>20, peak>>20)
	}
	if lines := svc.stderr.count(); lines > 200 {
		t.Errorf("%d lines of log: not bounded in rate", lines)
	}
	svc.drain(t)
}

// An old worker that writes something else than text where text is to be is
// refused like any other; its good events pass.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	node := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	startWorker(t, "herald", site.socket).warm(t, "D", node.inbox)
	w := startPeer(t, "worker", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}})
	raw := func(body []byte) {
		w.order(t, order{Do: "raw", Frames: []string{hex.EncodeToString([]byte("D")), hex.EncodeToString(body)}})
	}
	raw([]byte("\x85\xa5table\xa1t\xa3key\x07\xa6action\xa3set\xa5value\xc0\xa5topic\xa1D")) // a number
	svc.stderr.await(t, "event refused", "neither text nor nil")
	node.until(t, "a sync", func(in *inbox) bool { return in.actions["sync"] > 0 })
	// Numbers that a worker forges are replaced (failures: X5).
	raw([]byte("\x87\xa5table\xa1t\xa3key\xa6forged\xa6action\xa3set\xa5value\xc0\xa5topic\xa1D\xa5epoch\x07\xa3seq\x09"))
	node.awaitKey(t, "forged")
	for _, e := range node.events() {
		if e.key() == "forged" && (e.Epoch == 7 || e.Seq == 9) {
			t.Errorf("the worker's numbers were passed on: %v", e)
		}
	}
}
