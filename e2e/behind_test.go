//go:build linux

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// flood publishes so many numbered events of 8 KB; no faster than the given nodes
// handle them, so that a busy machine makes none of those fall behind.
func (w *worker) flood(t testing.TB, topic string, count int, nodes ...*inbox) {
	t.Helper()
	value := strings.Repeat("x", 8000)
	for count > 0 {
		batch := make([]wyvern.Event, min(count, 50))
		for i := range batch {
			batch[i] = numberedEvent(w.name, w.next+i, topic)
			batch[i].Value = value
		}
		if _, err := w.PublishBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		w.next += len(batch)
		count -= len(batch)
		for _, n := range nodes {
			n.awaitKey(t, w.name+"-"+itoa(w.next-1))
		}
	}
	w.flush(t)
}

// A node's process is stopped until the service has dropped what it was to get:
// it is told that it fell behind, for every topic, and the stream goes on
// (failures: N1).
func TestN1StoppedUntilDropped(t *testing.T) {
	t.Parallel()
	site := newSite(t, "retention = 2MiB")
	svc := site.serveWith(t, plain)
	// It is not to believe, for having been stopped, that the service is gone.
	patient := []string{"heartbeat_timeout=60s", "lost_after=60s"}
	victim, in := startSubWith(t, "victim", svc.uri, patient, "D", "quiet")
	other := startSubscriber(t, "other", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", in, other.inbox)
	w.warm(t, "quiet", in)
	victim.signal(t, syscall.SIGSTOP)
	until(t, "it is stopped", func() bool { return victim.state(t) == "T" })
	w.flood(t, "D", 4000, other.inbox) // more than the log and the kernel's buffers hold
	svc.stderr.await(t, "subscriber is slow")
	victim.signal(t, syscall.SIGCONT)
	svc.stderr.await(t, "subscriber fell behind")
	behind := string(wyvern.ReasonBehind)
	for _, topic := range []string{"D", "quiet"} {
		in.until(t, "a resync of "+topic, func(in *inbox) bool {
			for _, e := range in.all {
				if e.Reason == behind && e.topic() == topic {
					return true
				}
			}
			return false
		})
	}
	w.warm(t, "D", in, other.inbox)
	if missing := checkTold(t, in, "D"); missing == 0 {
		t.Error("nothing is missing: nothing was dropped")
	}
	if got := resyncs(in); got["D: "+behind] != 1 || got["quiet: "+behind] != 1 || len(got) != 2 {
		t.Errorf("told %v, want once per topic that it fell behind", got)
	}
	other.checkComplete(t, []string{"w"}, w.next)
	wantNoResync(t, other.inbox)
}

// A node's process is stopped for longer than every timeout, as when its host
// sleeps, by itself or together with its service. Afterwards it resumes, or is
// told: nothing is missing in silence (failures: B7).
func TestB7Suspended(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		retention string
		both      bool // the service is stopped too
		behind    bool // what it misses is more than is retained
	}{
		{"node", "16MiB", false, false},
		{"node, for more than is retained", "1MiB", false, true},
		{"node and service", "16MiB", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, "retention = "+c.retention, "heartbeat_interval = 50ms", "heartbeat_timeout = 200ms", "max_event_size = 64KiB")
			svc := site.serveWith(t, plain)
			short := []string{"heartbeat_interval=100ms", "heartbeat_timeout=300ms", "lost_after=500ms", "resync_spread=200ms", "reconnect_max=200ms"}
			node, in := startSubWith(t, "node", svc.uri, short, "D", "quiet")
			w := startWorker(t, "w", site.socket)
			w.warm(t, "D", in)
			w.warm(t, "quiet", in)
			from := svc.stderr.count()
			node.signal(t, syscall.SIGSTOP)
			until(t, "it is stopped", func() bool { return node.state(t) == "T" })
			if c.both {
				svc.signal(t, syscall.SIGSTOP)
				// Nobody is there to tell: longer than every timeout.
				time.Sleep(1500 * time.Millisecond)
				svc.signal(t, syscall.SIGCONT)
			}
			w.publish(t, wyvern.Event{Table: "t", Key: "missed", Action: "set", Topic: "quiet"})
			w.send(t, "D", 20)
			w.flush(t)
			if c.behind {
				w.flood(t, "D", 2500)
				// Who has something to read is not given up before the kernel
				// does: longer than every other timeout.
				time.Sleep(1500 * time.Millisecond)
			} else {
				svc.stderr.awaitFrom(t, from, "subscriber gone")
			}
			node.signal(t, syscall.SIGCONT)
			in.until(t, "the last event of the quiet topic, or a resync", func(in *inbox) bool {
				if in.keys["missed"] > 0 {
					return true
				}
				for _, e := range in.all {
					if e.Reason != "" && e.topic() == "quiet" {
						return true
					}
				}
				return false
			})
			// What comes while a resync is due is covered by it.
			w.warm(t, "D", in)
			w.warm(t, "quiet", in)
			missing := checkTold(t, in, "D")
			checkTold(t, in, "quiet")
			told := resyncs(in)
			t.Logf("%d missing, told %v", missing, told)
			for what, n := range told {
				if n > 2 {
					t.Errorf("told %d times of %s", n, what)
				}
			}
			if c.behind && len(told) < 2 {
				t.Errorf("told %v, want something for each topic", told)
			}
		})
	}
}
