//go:build linux

package e2e

import (
	"bytes"
	"testing"
	"time"
)

// A worker that sends what can't be understood, as fast as it can, makes the
// nodes resync once a second and not more often; they miss nothing that others
// send.
func TestX4ResyncSpam(t *testing.T) {
	t.Parallel()
	const bad = 50000
	site := newSite(t, "log_level = info")
	svc := site.serveWith(t, plain)
	node := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	w.send(t, "D", 1)
	node.awaitSets(t, 1)
	begin := time.Now()
	stop := w.keepSending(t, "D")
	c := dial(t, svc.socket)
	c.shake("PUSH")
	many := bytes.Repeat(message([]byte("D"), []byte{0xc1}), bad/100)
	for range 100 {
		c.write(many)
	}
	// A last one of its own, after which all have been seen.
	c.write(message([]byte("D"), eventBody("D", "last", nil)))
	node.awaitKey(t, "last")
	took := time.Since(begin)
	total := stop()
	w.flush(t)
	node.until(t, "everything", func(in *inbox) bool { return in.actions["set"] >= total+1 })
	node.checkComplete(t, []string{"w"}, total)
	node.mu.Lock()
	syncs := node.actions["sync"]
	node.mu.Unlock()
	if most := 2 + int(time.Since(begin)/time.Second); syncs < 1 || syncs > most {
		t.Errorf("%d orders to resync in %v, want 1 to %d", syncs, took, most)
	}
	if lines := svc.stderr.count(); lines > 20+10*int(1+time.Since(begin)/time.Second) {
		t.Errorf("%d lines of log in %v", lines, took)
	}
	svc.drain(t)
}
