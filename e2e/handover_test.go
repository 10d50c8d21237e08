//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
)

// serveOnFullDisk starts the service in a mount namespace of its own, where the
// directory of its state file is a small file system that is full.
func (s *site) serveOnFullDisk(t testing.TB, dir string) *service {
	t.Helper()
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-Urm"
	}
	const script = `mount -t tmpfs -o size=16k none "$1" && { cat /dev/zero >"$1/fill" 2>"$1/said" || true; } && shift && exec "$@"`
	p := start(t, nil, "unshare", flags, "sh", "-c", script, "sh", dir, checked, "serve", "--config-file", s.file, "--set", "wyvern.run_directory="+dir)
	p.name = "serve"
	m := readyLine.FindStringSubmatch(p.stderr.await(t, "wyvern: ready: "))
	if m == nil {
		t.Fatal("no ready line")
	}
	return &service{p, m[1], m[2], m[3]}
}

// The disk with the state file is full: publishing does not notice, the stop is
// in order and says that it could not hand over, and nodes are told by the next
// instance, which is another incarnation (failures: S8).
func TestS8DiskFull(t *testing.T) {
	t.Parallel()
	site := newFixedSite(t)
	dir := filepath.Join(site.dir, "full")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	svc := site.serveOnFullDisk(t, dir)
	node := tuned(t, "node", []string{svc.uri}, []string{"D"}, nil)
	w := startWorker(t, "w", site.socket)
	w.send(t, "D", 1000)
	node.awaitKey(t, "w-999")
	svc.signal(t, syscall.SIGTERM)
	if status := svc.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	svc.stderr.await(t, "can't hand over", "no space left on device")
	svc = site.serveOnFullDisk(t, dir)
	node.until(t, "a resync", func(in *inbox) bool { return in.actions["sync"] > 0 })
	w.publish(t, wyvern.Event{Table: "t", Key: "after", Action: "set", Topic: "D"})
	node.awaitKey(t, "after")
	checkTold(t, node.inbox, "D")
	if got := resyncs(node.inbox); got["D: "+string(wyvern.ReasonIncarnation)] != 1 || len(got) != 1 {
		t.Errorf("told %v, want one resync for the restart", got)
	}
	svc.drain(t)
}
