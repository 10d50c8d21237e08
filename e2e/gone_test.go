//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// One of two services is gone for ever: killed, or with its host, of which only
// silence remains. Its topics are told once, by that service; what comes from the
// other one is not disturbed, and for as long as nothing is heard no more is told
// (failures: B4).
func TestB4GoneForEver(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{true, false} {
		t.Run(map[bool]string{true: "killed", false: "silent"}[killed], func(t *testing.T) {
			t.Parallel()
			sites := []*site{newSite(t), newSite(t)}
			var services []*service
			var uris []string
			for i, s := range sites {
				services = append(services, s.serve(t, "--set", fmt.Sprint("wyvern.publisher_id=server-", i)))
				uris = append(uris, services[i].uri)
			}
			node := tuned(t, "node", uris, []string{"D", "quiet"}, func(o *wyvern.SubscriberOptions) {
				o.Config.HeartbeatTimeout, o.Config.LostAfter = 400*time.Millisecond, 500*time.Millisecond
			})
			doomed, healthy := startWorker(t, "a", sites[0].socket), startWorker(t, "b", sites[1].socket)
			doomed.send(t, "D", 10)
			healthy.send(t, "D", 10)
			node.awaitKey(t, "a-9")
			node.awaitKey(t, "b-9")
			stop := healthy.keepSending(t, "D")
			if killed {
				services[0].kill(t)
			} else {
				services[0].signal(t, syscall.SIGSTOP)
			}
			node.until(t, "a resync of both topics", func(in *inbox) bool { return in.actions["sync"] >= 2 })
			time.Sleep(1500 * time.Millisecond) // three times what it takes to be gone
			sent := stop()
			healthy.flush(t)
			node.awaitKey(t, "b-"+itoa(sent-1))
			lost := string(wyvern.ReasonLost)
			if got := resyncs(node.inbox); got["D: "+lost] != 1 || got["quiet: "+lost] != 1 || len(got) != 2 {
				t.Errorf("told %v, want once per topic that the publisher is lost", got)
			}
			if missing := checkTold(t, only(node.inbox, "b"), "D"); missing != 0 {
				t.Errorf("%d events of the other service are missing", missing)
			}
			if killed {
				return
			}
			// It was not for ever: the stream goes on, and that is no news.
			services[0].signal(t, syscall.SIGCONT)
			doomed.send(t, "D", 1)
			node.awaitKey(t, "a-10")
			if n := node.actionCount("sync"); n != 2 {
				t.Errorf("%d resyncs, want 2", n)
			}
			checkTold(t, only(node.inbox, "a"), "D")
		})
	}
}

// only is what an inbox has of one worker, and the resyncs.
func only(in *inbox, worker string) *inbox {
	part := newInbox(in.name)
	for _, e := range in.events() {
		if name, _, ok := e.worker(); ok && name == worker || e.Reason != "" {
			part.put(e)
		}
	}
	return part
}

// actionCount returns how many events with an action came.
func (in *inbox) actionCount(action string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.actions[action]
}

// One service under two addresses of publishers_ips: the node is connected once,
// gets everything once, over restarts too, and is told nothing needlessly
// (failures: N11).
func TestN11TwoAddresses(t *testing.T) {
	t.Parallel()
	site := newFixedSite(t)
	more := filepath.Join(site.dir, "more.ini")
	const text = "[df]\npublisher_bind_address = *\npublishers_ips = 127.0.0.1, 127.0.0.2, 127.0.0.1\n"
	if err := os.WriteFile(more, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	svc := site.serve(t, "--config-file", more)
	in := newInbox("sub")
	sub := start(t, in.line, checked, "sub", "--config-file", site.file, "--config-file", more, "--topic", "D",
		"--set", "wyvern.reconnect_max=200ms")
	sub.name = "sub"
	sub.stderr.await(t, "publisher is connected already")
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", in)
	w.send(t, "D", 2000)
	in.awaitKey(t, "w-1999")
	svc.drain(t)
	svc = site.serve(t, "--config-file", more)
	w.warm(t, "D", in)
	wantNoResync(t, in)
	svc.kill(t)
	svc = site.serve(t, "--config-file", more)
	in.until(t, "a resync", func(in *inbox) bool { return in.actions["sync"] > 0 })
	w.warm(t, "D", in)
	w.send(t, "D", 2000)
	in.awaitKey(t, "w-3999")
	checkTold(t, in, "D")
	count := map[string]int{}
	for _, e := range in.events() {
		if _, _, ok := e.worker(); ok {
			if count[e.key()]++; count[e.key()] > 1 {
				t.Fatalf("%v came twice", e)
			}
		}
	}
	if got := resyncs(in); len(got) != 1 || got["D: "+string(wyvern.ReasonIncarnation)] != 1 {
		t.Errorf("told %v, want one resync for the crash", got)
	}
	if n := strings.Count(svc.stderr.String(), "subscriber connected"); n < 2 {
		t.Errorf("%d connections: the second address was not tried", n)
	}
	svc.drain(t)
}
