//go:build linux

package e2e

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern"
)

// A service that has no descriptors left accepts nobody for a while, and doesn't
// spin. Those who are connected notice nothing; when descriptors are free again,
// those who wait are served, and others come.
func TestS11NoDescriptors(t *testing.T) {
	t.Parallel()
	const limit, floodOnPort, floodOnSocket = 64, 2000, 100
	site := newSite(t, "handshake_timeout = 60s", "log_level = info")
	svc := site.serveWith(t, plain)
	node := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	ours := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", node.inbox, ours.inbox)
	if err := unix.Prlimit(svc.pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	from := svc.stderr.count()
	stop := w.keepSending(t, "D")
	// The kernel completes these connections and keeps them for the service.
	var flood []net.Conn
	end := func() {
		for _, c := range flood {
			c.Close()
		}
	}
	t.Cleanup(end)
	for i := range floodOnPort + floodOnSocket {
		address := svc.address
		if i >= floodOnPort {
			address = svc.socket
		}
		c, err := net.DialTimeout(networkOf(address), address, atMost)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // leave no ports behind that can't be used
		}
		flood = append(flood, c)
	}
	svc.stderr.awaitFrom(t, from, "can't accept connections", "too many open files", "hop=network")
	svc.stderr.awaitFrom(t, from, "can't accept connections", "too many open files", "hop=ipc")
	files, err := os.ReadDir("/proc/" + itoa(svc.pid()) + "/fd")
	if err != nil || len(files) < limit-4 || len(files) > limit+4 { // some come and go
		t.Errorf("the service has %d open files, %v, with a limit of %d", len(files), err, limit)
	}
	late, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Alias: "zmq_pubsub_driver", Topics: []string{"D"}, Connect: []string{svc.uri},
		Handler: func(context.Context, wyvern.Event) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { late.Close() })
	// Who comes waits, and is not sent away.
	if line, found, _, _ := svc.stderr.find(from, "refused", "too many open files"); found {
		t.Error(line)
	}
	// The flow goes on: events that are sent from here on arrive.
	begin, attempts := time.Now(), accounted(svc.stderr, "can't accept")
	sofar := w.Status().Messages
	for _, n := range []*inbox{node.inbox, ours.inbox} {
		n.until(t, "events during the shortage", func(in *inbox) bool { return uint64(in.actions["set"]) > sofar+3000 })
	}
	if late.Status().Peers > 0 {
		t.Error("a late one was served: there were descriptors")
	}
	passed := time.Since(begin)
	if more := accounted(svc.stderr, "can't accept") - attempts; more > 100+20*int(passed/time.Second) {
		t.Errorf("%d attempts to accept in %v: it does not back off", more, passed)
	}

	end()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := late.Await(ctx); err != nil {
		t.Errorf("one that came during the shortage: %v", err)
	}
	lateWorker := startWorker(t, "late", site.socket)
	lateWorker.send(t, "D", 100)
	total := stop()
	w.flush(t)
	for _, n := range []*inbox{node.inbox, ours.inbox} {
		n.awaitKey(t, "late-99")
		n.awaitKey(t, "w-"+itoa(total-1))
		n.checkComplete(t, []string{"w"}, total)
		if syncs := topicsOf(n, "sync"); len(syncs) > 0 {
			t.Errorf("node %s was told to resync %d times", n.name, len(syncs))
		}
	}
	svc.drain(t)
}
