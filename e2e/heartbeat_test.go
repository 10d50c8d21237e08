//go:build linux

package e2e

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// impatient are options of libzmq to ask for signs of life, and to give up when
// one does not come; with time to spare for a busy machine. In milliseconds.
func impatient() map[string]int {
	return map[string]int{"HEARTBEAT_IVL": 200, "HEARTBEAT_TIMEOUT": 2000, "HEARTBEAT_TTL": 6000}
}

// observed is for how long a connection must live while it is asked: longer than
// one that is not answered does.
const observed = 3500 * time.Millisecond

// checkSteady watches a peer's connection for some time.
func checkSteady(t *testing.T, p *zmqPeer) {
	t.Helper()
	p.stdout.await(t, "HANDSHAKE_SUCCEEDED")
	timer := time.NewTimer(observed) // what is watched is time itself
	defer timer.Stop()
	for {
		line, lost, _, changed := p.stdout.find(0, "DISCONNECTED")
		if lost {
			t.Errorf("%s lost its connection: %s", p.process.name, line)
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}

// Whoever of our peers on libzmq asks for signs of life gets them, at every
// socket that we have (ZMTP 3.1; failures: N6).
func TestN6HeartbeatsAreAnswered(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	bare := newSite(t)

	node := startPeer(t, "node", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}, Options: impatient(), Monitor: true})
	w := startPeer(t, "worker", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}, Options: impatient(), Monitor: true})
	pub := startPeer(t, "publisher", peerConfig{Type: "PUB", Bind: "tcp://127.0.0.1:*", Options: impatient(), Monitor: true})
	startSub(t, "sub", pub.uri, "D")
	pull := startPeer(t, "service", peerConfig{Type: "PULL", Bind: "ipc://" + bare.socket, Options: impatient(), Monitor: true})
	push := startWorker(t, "ours", bare.socket)
	push.publish(t, wyvern.Event{Key: "first", Action: "log", Topic: "D"})
	pull.awaitKey(t, "first")

	for _, p := range []*zmqPeer{node, w, pub, pull} {
		t.Run(p.process.name, func(t *testing.T) {
			t.Parallel()
			checkSteady(t, p)
		})
	}
}

// The watch above sees it when nobody answers.
func TestHeartbeatsMatter(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mute := make(chan struct{})
	go func() { // shakes hands and says nothing more
		defer close(mute)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(append(greeting(), ready("PUB")...))
		_, _ = io.Copy(io.Discard, conn)
	}()
	t.Cleanup(func() { l.Close(); <-mute })
	node := startPeer(t, "node", peerConfig{Type: "SUB", Connect: []string{"tcp://" + l.Addr().String()}, Topics: []string{"D"}, Options: impatient(), Monitor: true})
	node.stdout.await(t, "HANDSHAKE_SUCCEEDED")
	node.stdout.await(t, "DISCONNECTED")
}

// A node that asked to be given up when it is silent for a second is given up.
func TestHeartbeatTTL(t *testing.T) {
	t.Parallel()
	site := newSite(t, "heartbeat_interval = 30s", "heartbeat_timeout = 60s") // not the reason
	svc := site.serve(t)
	node := dial(t, svc.address)
	node.shake("SUB")
	node.write(shortFrame(4, append([]byte("\x04PING"), 0, 10, 'c'))) // in tenths of a second
	if _, body := node.frame(); string(body) != "\x04PONGc" {
		t.Errorf("got %q, want a PONG with the context", body)
	}
	node.awaitEnd()
	svc.stderr.await(t, "subscriber gone", "no sign of life")
}

// A silent node is given up after some heartbeats, also without having asked
// for it, and a silent publisher by a node of ours.
func TestHeartbeatsOfOurs(t *testing.T) {
	t.Parallel()
	const short = 200 * time.Millisecond
	site := newSite(t, "heartbeat_interval = 50ms", "heartbeat_timeout = 200ms")
	svc := site.serve(t)
	silent := dial(t, svc.address)
	silent.shake("SUB")
	begin := time.Now()
	silent.awaitEnd() // PINGs come before
	if time.Since(begin) < short {
		t.Errorf("it was given up after %v, before it could be called silent", time.Since(begin))
	}
	svc.stderr.await(t, "subscriber gone", "no sign of life")

	// The node's own limits are those of its configuration.
	node := start(t, nil, checked, "sub", "--config-file", site.file, "--connect", svc.uri)
	node.stderr.await(t, "publisher connected")
	svc.signal(t, syscall.SIGSTOP)
	until(t, "the service is stopped", func() bool { return svc.state(t) == "T" })
	node.stderr.await(t, "publisher lost")
	from := node.stderr.count()
	svc.signal(t, syscall.SIGCONT)
	node.stderr.awaitFrom(t, from, "publisher connected")
}
