//go:build linux

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// crossing is a service and two nodes, ours and one on libzmq, with a network of
// their own between them. Workers reach the service by its socket file.
type crossing struct {
	*network
	*service
	port   string // of the service
	ours   *process
	in     *inbox // of ours
	theirs *zmqPeer
	w      *worker
}

// cross starts one, with settings of the node and lines of the service, and waits
// until both nodes have the topics D and quiet.
func cross(t testing.TB, settings []string, lines ...string) *crossing {
	t.Helper()
	n := newNetwork(t)
	site := newSite(t, append(lines, "resync_spread = 200ms")...)
	site.network = n
	x := &crossing{network: n, service: site.serve(t)}
	_, x.port, _ = strings.Cut(x.address, ":")
	x.join(t, x.uri, settings)
	x.w = startWorker(t, "w", site.socket)
	x.w.warm(t, "D", x.in, x.theirs.inbox)
	x.w.warm(t, "quiet", x.in, x.theirs.inbox)
	return x
}

// join starts the nodes.
func (x *crossing) join(t testing.TB, uri string, settings []string) {
	t.Helper()
	x.ours, x.in = startSubIn(t, x.network, "ours", uri, append(settings, "resync_spread=200ms"), "D", "quiet")
	options := impatient()
	options["CONNECT_TIMEOUT"] = 2000 // or it waits as long as the kernel, which tries ever more rarely
	x.theirs = startPeerIn(t, x.network, "libzmq", peerConfig{
		Type: "SUB", Connect: []string{uri}, Topics: []string{"D", "quiet"}, Options: options, Monitor: true,
	})
}

// toNode and toService are what packets of one way match.
func (x *crossing) toNode() string    { return "tcp sport " + x.port }
func (x *crossing) toService() string { return "tcp dport " + x.port }

// awaitNews waits until a node has an event, or was told to resync its topic
// after so many events.
func awaitNews(t testing.TB, in *inbox, key, topic string, from int) {
	t.Helper()
	in.until(t, "key "+key+", or a resync", func(in *inbox) bool {
		if in.keys[key] > 0 {
			return true
		}
		for _, e := range in.all[from:] {
			if e.action() == "sync" && e.topic() == topic {
				return true
			}
		}
		return false
	})
}

// remade returns how often a node on libzmq has connected again.
func (p *zmqPeer) remade() int {
	p.stdout.mu.Lock()
	defer p.stdout.mu.Unlock()
	n := 0
	for _, line := range p.stdout.lines {
		if strings.Contains(line, "HANDSHAKE_SUCCEEDED") {
			n++
		}
	}
	return n - 1
}

// checkTheirs judges the node on libzmq: a connection that was made again is told
// for each topic, and what is missing is too.
func (x *crossing) checkTheirs(t testing.TB) {
	t.Helper()
	if x.theirs.remade() > 0 {
		for _, topic := range []string{"D", "quiet"} {
			x.theirs.until(t, "a sync of "+topic, func(in *inbox) bool {
				for _, e := range in.all {
					if e.action() == "sync" && e.topic() == topic {
						return true
					}
				}
				return false
			})
		}
	}
	missing := checkWorker(t, x.theirs.inbox, "w", "D", false)
	t.Logf("libzmq connected again %d times; it lacks %d events", x.theirs.remade(), missing)
}

var peerField = regexp.MustCompile(`subscriber connected.* peer=127\.0\.0\.1:([0-9]+)`)

// The kernel drops every packet: those to the node, those to the service, both, or
// those of the connections that there are, as a firewall does that has forgotten
// them. Both sides notice, and when packets pass again the node resumes, as if
// nothing had been; one on libzmq that asks for signs of life is told (failures:
// N6).
func TestN6Partition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		rules   func(*crossing) []string
		forever bool
	}{
		{"to the node", func(x *crossing) []string { return []string{x.toNode() + lose} }, false},
		{"to the service", func(x *crossing) []string { return []string{x.toService() + lose} }, false},
		{"both ways", func(x *crossing) []string { return []string{x.toNode() + lose, x.toService() + lose} }, false},
		{"forgotten", func(x *crossing) (rules []string) {
			for _, m := range peerField.FindAllStringSubmatch(x.stderr.String(), -1) {
				rules = append(rules, x.toNode()+" tcp dport "+m[1]+lose, x.toService()+" tcp sport "+m[1]+lose)
			}
			return rules
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// To a service a node may be silent for five times the timeout.
			x := cross(t, []string{"heartbeat_interval=100ms", "heartbeat_timeout=1s", "lost_after=60s", "handshake_timeout=1s", "reconnect_max=200ms"},
				"heartbeat_interval = 100ms", "heartbeat_timeout = 300ms")
			x.w.send(t, "D", 10)
			x.in.awaitKey(t, "w-9")
			x.theirs.awaitKey(t, "w-9")
			from := x.theirs.count()
			rules := c.rules(x)
			if len(rules) == 0 {
				t.Fatalf("no connections:\n%s", x.stderr)
			}
			lines := x.stderr.count()
			x.filter(t, rules...)
			x.w.send(t, "D", 20)
			x.w.publish(t, wyvern.Event{Table: "t", Key: "missed", Action: "set", Topic: "quiet"})
			x.ours.stderr.await(t, "publisher lost")
			for _, m := range peerField.FindAllStringSubmatch(x.stderr.String(), -1)[:2] {
				x.stderr.awaitFrom(t, lines, "subscriber gone", "peer=127.0.0.1:"+m[1])
			}
			x.w.send(t, "D", 20)
			if !c.forever {
				x.filter(t)
			}
			x.in.awaitKey(t, "missed")
			x.in.awaitKey(t, "w-49")
			awaitNews(t, x.theirs.inbox, "missed", "quiet", from)
			x.w.warm(t, "D", x.in, x.theirs.inbox)
			x.in.checkComplete(t, []string{"w"}, x.w.next)
			checkTold(t, x.in, "quiet")
			wantNoResync(t, x.in)
			x.checkTheirs(t)
			if n := x.lost(t); n == 0 {
				t.Error("no packet was lost")
			} else {
				t.Logf("%d packets were lost", n)
			}
		})
	}
}

// Something in between forgets a connection on which nothing passed for two
// seconds, and drops what comes of it later (conntrack). Heartbeats that are more
// frequent keep it alive; with rarer ones the node notices, and resumes: what was
// published into the silence comes (failures: N6).
func TestN6IdleDropped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, interval, timeout string
		kept                    bool
	}{
		{"heartbeats in time", "300ms", "3s", true},
		{"heartbeats too rare", "5s", "6s", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := &crossing{network: newNetwork(t)}
			site := newSite(t, "heartbeat_interval = "+c.interval, "heartbeat_timeout = "+c.timeout)
			site.network = x.network
			x.service = site.serve(t)
			_, x.port, _ = strings.Cut(x.address, ":")
			// Before the packet enters the table of connections.
			x.rule(t, `add ct timeout inet faults short { protocol tcp; l3proto ip; policy = { established : 2 }; }
				add chain inet faults out { type filter hook output priority 0; }
				add rule inet faults out `+x.toService()+` ct timeout set "short"
				add rule inet faults out tcp flags & (fin|syn|rst) == 0x0 ct state new,invalid`+lose)
			x.ours, x.in = startSubIn(t, x.network, "ours", x.uri,
				[]string{"heartbeat_interval=" + c.interval, "heartbeat_timeout=" + c.timeout, "lost_after=60s", "reconnect_max=200ms"}, "D", "quiet")
			x.w = startWorker(t, "w", site.socket)
			x.w.warm(t, "D", x.in)
			x.w.warm(t, "quiet", x.in)
			time.Sleep(4 * time.Second) // the fault: nothing is said, and forgetting takes half of that
			x.w.publish(t, wyvern.Event{Table: "t", Key: "missed", Action: "set", Topic: "quiet"})
			x.in.awaitKey(t, "missed")
			x.w.send(t, "D", 10)
			x.in.awaitKey(t, "w-9")
			x.in.checkComplete(t, []string{"w"}, 10)
			checkTold(t, x.in, "quiet")
			wantNoResync(t, x.in)
			_, left, _, _ := x.ours.stderr.find(0, "publisher lost")
			if n := x.lost(t); left == c.kept || (n == 0) != c.kept {
				t.Errorf("%d packets were lost; the node lost its connection: %v", n, left)
			}
		})
	}
}

// The kernel drops packets at random, both ways, while a proxy may delay what they
// carry. TCP makes up for it as far as it can; where a connection is silent for too
// long the node makes another one. All is in order or told, and no more is told
// than that the publisher was not heard of (failures: N7).
func TestN7PacketLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		percent int
		late    time.Duration // each way
		enough  int           // packets
	}{
		{"1 %", 1, 0, 10},
		{"10 %", 10, 0, 100},
		{"30 %", 30, 0, 200},
		{"30 %, late", 30, 250 * time.Millisecond, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := &crossing{network: newNetwork(t)}
			site := newSite(t, "resync_spread = 200ms")
			site.network = x.network
			x.service = site.serve(t)
			uri := x.uri
			if c.late != 0 {
				program, args := x.command(linker, []string{x.address, c.late.String()})
				_, uri, _ = strings.Cut(start(t, nil, program, args...).stdout.await(t, "link "), " ")
			}
			x.join(t, uri, nil)
			x.w = startWorker(t, "w", site.socket)
			x.w.warm(t, "D", x.in, x.theirs.inbox)
			x.w.warm(t, "quiet", x.in, x.theirs.inbox)
			x.filter(t, "meta l4proto tcp numgen random mod 100 < "+itoa(c.percent)+lose)
			for i, began := 0, time.Now(); time.Since(began) < 3*time.Second || x.lost(t) < c.enough; i++ {
				if time.Since(began) > 4*atMost {
					t.Fatalf("%d packets were lost in %s", x.lost(t), time.Since(began))
				}
				x.w.send(t, "D", 20)
				if i%10 == 0 {
					x.w.publish(t, wyvern.Event{Table: "t", Key: "some", Action: "set", Topic: "quiet"})
				}
				time.Sleep(10 * time.Millisecond) // packets go meanwhile
			}
			from, theirs := x.in.count(), x.theirs.count()
			x.w.publish(t, wyvern.Event{Table: "t", Key: "end", Action: "set", Topic: "quiet"})
			x.w.send(t, "D", 20)
			lost := x.lost(t)
			x.filter(t)
			awaitNews(t, x.in, "end", "quiet", from)
			awaitNews(t, x.theirs.inbox, "end", "quiet", theirs)
			x.w.warm(t, "D", x.in, x.theirs.inbox)
			x.w.warm(t, "quiet", x.in, x.theirs.inbox)
			checkTold(t, x.in, "D")
			checkTold(t, x.in, "quiet")
			x.checkTheirs(t)
			told, gone := resyncs(x.in), strings.Count(x.ours.stderr.String(), "publisher gone")
			t.Logf("%d packets were lost; %d events; the publisher was gone %d times, told %v", lost, x.w.next, gone, told)
			// Two spells may be told at a time, but neither of them not at all.
			for what, n := range told {
				if n > gone || !strings.HasSuffix(what, ": "+string(wyvern.ReasonLost)) {
					t.Errorf("told %d times of %s", n, what)
				}
			}
			if len(told) < 2*min(gone, 1) {
				t.Errorf("told %v, want both topics", told)
			}
		})
	}
}

// What the service says is lost, and only that: it hears the node until that gives
// its connection up, whose end is lost as well until the node is back. It is told
// all the same (failures: N7).
func TestN7OneWay(t *testing.T) {
	t.Parallel()
	x := cross(t, []string{"lost_after=60s"})
	content := x.toNode() + " ip length > 52" + lose // acknowledgements have 52 bytes
	end := x.toService() + " tcp flags & (fin|rst) != 0x0" + lose
	from := x.theirs.count()
	x.filter(t, content, end)
	x.w.publish(t, wyvern.Event{Table: "t", Key: "missed", Action: "set", Topic: "quiet"})
	x.w.send(t, "D", 10)
	x.theirs.stdout.await(t, "DISCONNECTED")
	x.filter(t, end)
	until(t, "the node is back", func() bool { return x.theirs.remade() > 0 })
	x.w.send(t, "D", 10) // to the old connection, too
	x.filter(t)
	awaitNews(t, x.theirs.inbox, "missed", "quiet", from)
	x.w.warm(t, "D", x.in, x.theirs.inbox)
	x.w.warm(t, "quiet", x.in, x.theirs.inbox)
	x.in.checkComplete(t, []string{"w"}, x.w.next)
	x.checkTheirs(t)
	if x.lost(t) == 0 {
		t.Error("no packet was lost")
	}
}

// A link is down for a tenth of a second, and for longer: all packets are lost.
// Afterwards each connection that was made again was resumed or is told: the last
// event of a topic that fell quiet comes, or a resync of it. A node of ours is told
// only if the publisher was not heard of for longer than lost_after, and then once
// (failures: N4).
func TestN4LinkDown(t *testing.T) {
	t.Parallel()
	downs := []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second}
	if *long > 0 {
		downs = append(downs, 100*time.Second)
	}
	const lostAfter = 6 * time.Second
	for _, down := range downs {
		t.Run(down.String(), func(t *testing.T) {
			t.Parallel()
			x := cross(t, []string{"lost_after=" + lostAfter.String()})
			x.w.send(t, "D", 10)
			x.in.awaitKey(t, "w-9")
			from := x.theirs.count()
			x.filter(t, "meta l4proto tcp"+lose)
			x.w.publish(t, wyvern.Event{Table: "t", Key: "missed", Action: "set", Topic: "quiet"})
			for began := time.Now(); time.Since(began) < down; time.Sleep(20 * time.Millisecond) {
				x.w.send(t, "D", 1)
			}
			lost := x.lost(t)
			x.filter(t)
			x.in.awaitKey(t, "missed")
			awaitNews(t, x.theirs.inbox, "missed", "quiet", from)
			x.w.warm(t, "D", x.in, x.theirs.inbox)
			x.w.warm(t, "quiet", x.in, x.theirs.inbox)
			x.in.checkComplete(t, []string{"w"}, x.w.next)
			checkTold(t, x.in, "quiet")
			x.checkTheirs(t)
			told, want := resyncs(x.in), 0
			if down > lostAfter {
				want = 1
			}
			for _, topic := range []string{"D", "quiet"} {
				if n := told[topic+": "+string(wyvern.ReasonLost)]; n != want || len(told) != 2*want {
					t.Errorf("told %v, want each topic %d times", told, want)
				}
			}
			if lost == 0 {
				t.Error("no packet was lost")
			}
			t.Logf("%d packets were lost, %d events sent meanwhile; told %v", lost, x.w.next-10, told)
		})
	}
}
