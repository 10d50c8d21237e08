//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// What workers have sent when the service is told to stop is delivered to all
// nodes, though nothing of it was read yet; then the exit status is 0 (contract:
// 6, `serve`).
func TestDrainDelivers(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	ours := startSubscriber(t, "ours", svc.uri, "D")
	_, sub := startSub(t, "sub", svc.uri, "D")
	nodes := []*inbox{theirs.inbox, ours.inbox, sub}
	startWorker(t, "herald", site.socket).warm(t, "D", nodes...)

	// More than the service can take in at once: it must go on reading after it
	// was told to stop.
	const workers = 20
	value := bytes.Repeat([]byte("x"), 4000)
	conns := make([]*rawConn, workers)
	for i := range conns {
		conns[i] = dial(t, site.socket)
		conns[i].shake("PUSH")
		if err := conns[i].Conn.(*net.UnixConn).SetWriteBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	// Once the service has stopped, nothing is read: what is sent is in sockets.
	svc.signal(t, syscall.SIGSTOP)
	until(t, "the service is stopped", func() bool { return svc.state(t) == "T" })
	total := 0
	sent := make([]int, workers)
	for i, c := range conns {
		for sent[i] < 120 && c.tryWrite(message([]byte("D"), eventBody("D", fmt.Sprintf("w%d-%d", i, sent[i]), value))) {
			sent[i]++
		}
		if sent[i] < 40 {
			t.Fatalf("worker %d could send only %d events", i, sent[i])
		}
		total += sent[i]
	}
	svc.signal(t, syscall.SIGTERM)
	begin := time.Now()
	svc.signal(t, syscall.SIGCONT)
	if status := svc.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	t.Logf("%d events in sockets were drained in %v", total, time.Since(begin))
	for _, n := range nodes {
		n.awaitSets(t, total)
		next := make(map[string]int)
		for _, e := range n.events() {
			name, number, ok := e.worker()
			if !ok {
				continue
			}
			if number != next[name] {
				t.Fatalf("node %s: event %d of worker %s, expected %d", n.name, number, name, next[name])
			}
			next[name]++
		}
		for i := range conns {
			if name := fmt.Sprintf("w%d", i); next[name] != sent[i] {
				t.Errorf("node %s: %d events of worker %s, want %d", n.name, next[name], name, sent[i])
			}
		}
	}
	if _, err := os.Stat(site.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// tryWrite writes a whole message, or says no because the socket is full.
func (c *rawConn) tryWrite(p []byte) bool {
	c.t.Helper()
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	n := 0
	werr := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), p)
		return true
	})
	switch {
	case werr == nil && err == nil && n == len(p):
		return true
	case errors.Is(err, syscall.EAGAIN) || n > 0: // the rest never comes: not sent
		return false
	}
	c.t.Fatalf("write: %v, %v", werr, err)
	return false
}

// While a service drains, workers that come are refused, and when it has
// stopped too: they have to wait for the next one.
func TestDrainRefuses(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	// A node that takes nothing keeps the service from ending at once.
	stuck := dial(t, svc.address)
	stuck.shake("SUB")
	stuck.write(shortFrame(0, []byte("\x01D")))
	node := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	value := make([]byte, 1<<19)
	for i := range 24 {
		w.publish(t, numberedEvent("w", i, "D"))
		e := numberedEvent("big", i, "D")
		e.Value = string(value)
		w.publish(t, e)
	}
	w.flush(t)
	svc.signal(t, syscall.SIGTERM)
	svc.stderr.await(t, "draining")
	until(t, "workers are refused", func() bool {
		conn, err := net.Dial("unix", site.socket)
		if err != nil {
			return true
		}
		defer conn.Close()
		return refused(conn)
	})
	// From there on it stays so.
	conn, err := net.Dial("unix", site.socket)
	if err == nil {
		if !refused(conn) {
			t.Error("a worker was let in while the service drained")
		}
		conn.Close()
	}
	if status := svc.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if conn, err := net.Dial("unix", site.socket); err == nil {
		conn.Close()
		t.Error("somebody listens on the socket of a service that has ended")
	}
	node.awaitSets(t, 48)
}

// refused says whether a connection is ended without a handshake.
func refused(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(atMost))
	_, _ = conn.Write(append(greeting(), ready("PUSH")...))
	got, err := io.ReadAll(io.LimitReader(conn, 65))
	return err == nil && len(got) < 65 || errors.Is(err, syscall.ECONNRESET)
}

// A worker that publishes while its service is stopped keeps what that one has
// not read and hands it to the next: nothing is lost and nothing comes twice.
func TestDrainHandsOver(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	node := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	w.send(t, "D", 1)
	node.awaitSets(t, 1)
	stop := w.keepSending(t, "D")
	node.awaitSets(t, 2000) // it is under load
	svc.drain(t)

	// The next one is on libzmq and takes everything, so that the sum can be
	// made: a node would have to be connected in time.
	next := startPeer(t, "service", peerConfig{Type: "PULL", Bind: "ipc://" + site.socket})
	next.awaitSets(t, 2000)
	stop()
	w.flush(t)
	last := fmt.Sprintf("w-%d", w.next-1)
	next.awaitKey(t, last)

	numbers := func(in *inbox) (list []int) {
		for _, e := range in.events() {
			if _, number, ok := e.worker(); ok {
				list = append(list, number)
			}
		}
		return list
	}
	first, second := numbers(node.inbox), numbers(next.inbox)
	all := slices.Concat(first, second)
	for i, number := range all {
		if number != i {
			t.Fatalf("event %d at place %d; the first service had %d, the next begins with %v", number, i, len(first), second[:5])
		}
	}
	if len(all) != w.next {
		t.Errorf("%d events arrived, want %d", len(all), w.next)
	}
	next.process.kill(t)

	// And ours again, over the socket that a killed program left.
	svc = site.serve(t)
	again := startSubscriber(t, "again", svc.uri, "D")
	w.warm(t, "D", again.inbox)
	svc.drain(t)
}
