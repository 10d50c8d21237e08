//go:build linux

package e2e

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	breaker "github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

// pair is a service and a worker.
type pair struct {
	*service
	w *worker
}

func startPair(t testing.TB) *pair {
	t.Helper()
	site := newSite(t, "log_level = info")
	return &pair{site.serveWith(t, plain), startWorker(t, "w", site.socket)}
}

// A link that only slows things down, byte by byte, late, narrow, or all of it at
// a time: every event comes once and in order, and nobody is told to resync
// (failures: N7).
func TestN7SlowLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		up    breaker.Rule
		down  breaker.Rule
		count int
	}{
		{"byte by byte", breaker.Rule{Slice: true}, breaker.Rule{Slice: true}, 500},
		{"late", breaker.Rule{Delay: 250 * time.Millisecond}, breaker.Rule{Delay: 250 * time.Millisecond}, 2000},
		{"narrow", breaker.Rule{Rate: 2 << 10}, breaker.Rule{Rate: 64 << 10}, 1000},
		{"one way", breaker.Rule{}, breaker.Rule{Delay: 500 * time.Millisecond}, 2000},
		{"all of it", breaker.Rule{Slice: true, Delay: time.Millisecond}, breaker.Rule{Rate: 64 << 10, Delay: 20 * time.Millisecond}, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t)
			link, uri := zmqProxy(t, p.address)
			link.Apply(breaker.Up, c.up)
			link.Apply(breaker.Down, c.down)
			node := tuned(t, "node", []string{uri}, []string{"D", "quiet"}, nil)
			for range 5 {
				p.w.publish(t, wyvern.Event{Table: "t", Key: "some", Action: "set", Topic: "quiet"})
				p.w.send(t, "D", c.count/5)
				time.Sleep(100 * time.Millisecond)
			}
			p.w.publish(t, wyvern.Event{Table: "t", Key: "end", Action: "set", Topic: "quiet"})
			node.awaitKey(t, "end")
			node.awaitKey(t, "w-"+itoa(c.count-1))
			node.checkComplete(t, []string{"w"}, c.count)
			wantNoResync(t, node.inbox)
			n := link.Counts()
			if n.Sliced+n.Delayed+n.Throttled == 0 || n.Accepted != 1 {
				t.Errorf("the link did %+v", n)
			}
		})
	}
}

// A link that damages messages: what a node can't make sense of ends its
// connection, and it resumes; what is missing, or came twice or in another order,
// is seen by number and count. All is in order or told, the last event of the
// quiet topic comes or is told, and there are no more resyncs than damage
// (failures: N7).
func TestN7DamagedLink(t *testing.T) {
	t.Parallel()
	garbage := func(random *rand.Rand, n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		return p
	}
	for name, damage := range map[string]func(message, next []byte, random *rand.Rand) []byte{
		"bit of the flags": func(message, next []byte, random *rand.Rand) []byte {
			message[0] ^= 1 << random.IntN(8)
			return append(message, next...)
		},
		"bit of the size": func(message, next []byte, random *rand.Rand) []byte {
			message[1] ^= 1 << random.IntN(8)
			return append(message, next...)
		},
		"garbage before": func(message, next []byte, random *rand.Rand) []byte {
			return slices.Concat(garbage(random, 1+random.IntN(300)), message, next)
		},
		"garbage in the middle": func(message, next []byte, random *rand.Rand) []byte {
			at := random.IntN(len(message))
			return slices.Concat(message[:at], garbage(random, 1+random.IntN(300)), message[at:], next)
		},
		"bytes missing": func(message, next []byte, random *rand.Rand) []byte {
			at := random.IntN(len(message))
			return append(message[:at], next...)
		},
		"lost":    func(message, next []byte, random *rand.Rand) []byte { return next },
		"twice":   func(message, next []byte, random *rand.Rand) []byte { return slices.Concat(message, message, next) },
		"in turn": func(message, next []byte, random *rand.Rand) []byte { return slices.Concat(next, message) },
		"reversed": func(message, next []byte, random *rand.Rand) []byte {
			slices.Reverse(message)
			return append(message, next...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPair(t)
			link := startMangler(t, p.address)
			node := tuned(t, "node", []string{link.uri()}, []string{"D", "quiet"}, func(o *wyvern.SubscriberOptions) {
				o.Config.HeartbeatTimeout = 500 * time.Millisecond // what takes a size for larger waits
			})
			link.set(damage)
			for range 40 {
				p.w.send(t, "D", 50)
				p.w.publish(t, wyvern.Event{Table: "t", Key: "some", Action: "set", Topic: "quiet"})
				time.Sleep(20 * time.Millisecond)
			}
			until(t, "it has struck", func() bool {
				p.w.send(t, "D", 20)
				return link.count() >= 5
			})
			link.set(nil)
			key := "end of " + name
			p.w.publish(t, wyvern.Event{Table: "t", Key: key, Action: "set", Topic: "quiet"})
			node.until(t, "the last event of the quiet topic, or a resync of it", func(in *inbox) bool {
				if in.keys[key] > 0 {
					return true
				}
				for _, e := range slices.Backward(in.all) {
					if e.Reason != "" && e.topic() == "quiet" {
						return true
					}
				}
				return false
			})
			p.w.warm(t, "D", node.inbox)
			p.w.warm(t, "quiet", node.inbox)
			missing := checkTold(t, node.inbox, "D")
			checkTold(t, node.inbox, "quiet")
			told := node.actionCount("sync")
			t.Logf("struck %d times; %d events missing, told %v", link.count(), missing, resyncs(node.inbox))
			if told > 2*link.count() {
				t.Errorf("%d resyncs of two topics for %d blows", told, link.count())
			}
		})
	}
}
