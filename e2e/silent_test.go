//go:build linux

package e2e

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// silence opens so many connections that say nothing, and returns how many came
// about and a function that waits until the service has ended all of them.
func silence(t *testing.T, address string, want int) (opened int, awaitEnd func()) {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	var dialErr error
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range (want + i) / 16 {
				c, err := net.DialTimeout(networkOf(address), address, atMost)
				mu.Lock()
				if err != nil {
					dialErr = err
					mu.Unlock()
					return
				}
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0) // leave no ports behind that can't be used
				}
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if dialErr != nil {
		t.Errorf("after %d of %d connections: %v", len(conns), want, dialErr)
	}
	return len(conns), func() {
		t.Helper()
		deadline := time.Now().Add(atMost)
		for _, c := range conns {
			_ = c.SetReadDeadline(deadline)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("a silent connection was not ended")
			}
		}
	}
}

// raiseFileLimit raises the limit of open files as far as it goes.
func raiseFileLimit(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Max, 1<<20))
}

// Ten thousand connections to the nodes' port that say nothing, and a thousand
// to the workers' socket, harm nobody: those who are there go on, others come,
// of the silent ones a quarter of what may be at once is kept, and each of those
// is ended after handshake_timeout.
func TestX2SilentPeers(t *testing.T) {
	const margin = 80 << 20 // 16 KiB for each that is kept, kernel not counted
	const keptOnPort, keptOnSocket = 4096, 256
	onPort, onSocket := 10000, 1000
	if limit := raiseFileLimit(t); onPort+onSocket+500 > limit {
		onPort = max(0, limit-onSocket-500)
		t.Logf("only %d files may be open: %d silent connections to the port", limit, onPort)
	}
	site := newSite(t, "handshake_timeout = 6s", "log_level = info")
	svc := site.serveWith(t, plain)
	node := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", node.inbox)
	before, _ := svc.memory(t)

	stop := w.keepSending(t, "D")
	tcp, awaitTCP := silence(t, svc.address, onPort)
	unix, awaitUnix := silence(t, svc.socket, onSocket)
	late := startSubscriber(t, "late", svc.uri, "D")
	lateWorker := startWorker(t, "late", site.socket)
	lateWorker.send(t, "D", 100)
	late.awaitKey(t, "late-99")
	// Those that are kept, and the others, hold descriptors of the service now.
	kept := min(tcp, keptOnPort) + min(unix, keptOnSocket)
	if files, err := os.ReadDir("/proc/" + itoa(svc.pid()) + "/fd"); err != nil || len(files) < kept || len(files) > kept+100 {
		t.Errorf("the service has %d open files, %v; want a few more than %d", len(files), err, kept)
	}
	now, _ := svc.memory(t)
	awaitTCP()
	awaitUnix()
	svc.stderr.await(t, "subscriber refused", "made room")
	svc.stderr.await(t, "worker refused", "made room")
	svc.stderr.await(t, "subscriber refused", "handshake not completed in time")
	svc.stderr.await(t, "worker refused", "handshake not completed in time")
	total := stop()
	w.flush(t)
	node.awaitKey(t, "w-"+itoa(total-1))
	node.awaitKey(t, "late-99")
	node.checkComplete(t, []string{"w"}, total)
	_, peak := svc.memory(t)
	t.Logf("%d silent connections to the port, %d to the socket; %d events meanwhile; memory %d MiB before, %d MiB with them, peak %d MiB",
		tcp, unix, total, before>>20, now>>20, peak>>20)
	if peak > before+margin {
		t.Errorf("memory grew by %d MiB", (peak-before)>>20)
	}
	svc.drain(t)
}
