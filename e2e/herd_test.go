//go:build linux

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// herdStatus is what many nodes in one process tell of themselves.
type herdStatus struct {
	Nodes, Connected, Events, Most int
	Told                           []int64
	Reasons                        map[string]int
}

func askHerd(t testing.TB, p *process) (st herdStatus) {
	t.Helper()
	from := p.stdout.count()
	p.order(t, "status")
	if err := json.Unmarshal([]byte(p.stdout.awaitFrom(t, from, `"nodes"`)), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// crowded returns how many of these moments are within so many milliseconds, at
// most.
func crowded(at []int64, within int64) (most int) {
	at = slices.Sorted(slices.Values(at))
	first := 0
	for i := range at {
		for at[i]-at[first] >= within {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// A thousand nodes, or five (-long), lose their service at a time. After a planned restart none of
// ours is told anything; after a crash each is told once, spread over the window:
// in no tenth of it more than a fraction (failures: S10).
func TestS10Herd(t *testing.T) { // not beside others: it is a load for them, and they for it
	const spread = 3 * time.Second
	count := 1000
	if *long > 0 {
		count = 5000
	}
	for _, kind := range []string{"ours", "libzmq's"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			site := newFixedSite(t, "resync_spread = "+spread.String(), "log_level = info", "heartbeat_interval = 10s", "heartbeat_timeout = 60s",
				"max_subscribers = "+itoa(8*count)) // of those who have not introduced themselves one address has a quarter
			svc := site.serveWith(t, plain)
			args := []string{"herd", svc.address, itoa(count), "D"}
			program := loader
			if kind == "ours" {
				program, args = herder, []string{svc.uri, itoa(count), spread.String(), "D"}
			}
			herd := start(t, nil, program, args...)
			herd.stdout.await(t, `"connected"`)
			w := startWorker(t, "w", site.socket)
			w.send(t, "D", 10)
			if kind == "ours" {
				until(t, "all nodes have what was sent", func() bool { return askHerd(t, herd).Events == 10*count })
				svc.drain(t)
				svc = site.serveWith(t, plain)
				w.send(t, "D", 10)
				until(t, "all nodes have what was sent", func() bool { return askHerd(t, herd).Events == 20*count })
				if st := askHerd(t, herd); len(st.Told) > 0 {
					t.Errorf("told %v after a planned restart", st.Reasons)
				}
			}
			svc.kill(t)
			site.serveWith(t, plain)
			until(t, "all nodes are told", func() bool { return len(askHerd(t, herd).Told) >= count })
			st := askHerd(t, herd)
			if st.Connected != count {
				t.Errorf("%d nodes are connected", st.Connected)
			}
			if len(st.Told) != count || st.Most > 1 || kind == "ours" && st.Reasons[string(wyvern.ReasonIncarnation)] != count {
				t.Errorf("%d nodes were told %d times, one %d times: %v", count, len(st.Told), st.Most, st.Reasons)
			}
			most := crowded(st.Told, spread.Milliseconds()/10)
			took := slices.Max(st.Told) - slices.Min(st.Told)
			t.Logf("%d resyncs in %d ms, up to %d in a tenth of %s", len(st.Told), took, most, spread)
			if most > count/3 {
				t.Errorf("%d of %d nodes resynced within a tenth of the window", most, count)
			}
		})
	}
}

// All services are restarted at once, as in an upgrade that went wrong: no node is
// told anything when that was planned; after a crash each is told once by each of
// them, spread over the window (failures: N9).
func TestN9AllServicesAtOnce(t *testing.T) { // not beside others
	const nodes, servers, spread = 300, 3, 3 * time.Second
	var sites []*site
	var services []*service
	var uris []string
	serveAll := func() {
		services = services[:0]
		for i, s := range sites {
			services = append(services, s.serveWith(t, plain, "--set", "wyvern.publisher_id=server-"+itoa(i)))
		}
	}
	for range servers {
		sites = append(sites, newFixedSite(t, "log_level = info", "heartbeat_interval = 10s", "heartbeat_timeout = 60s"))
	}
	serveAll()
	for _, s := range services {
		uris = append(uris, s.uri)
	}
	herd := start(t, nil, herder, strings.Join(uris, ","), itoa(nodes), spread.String(), "D")
	herd.stdout.await(t, `"connected"`)
	events := 0
	send := func() {
		t.Helper()
		for i, s := range sites {
			startWorker(t, "w"+itoa(i), s.socket).send(t, "D", 1)
		}
		events += servers * nodes
		until(t, "all nodes have what was sent", func() bool { return askHerd(t, herd).Events == events })
	}
	send()
	for _, s := range services {
		s.signal(t, syscall.SIGTERM)
	}
	for _, s := range services {
		if status := s.wait(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	serveAll()
	send()
	if st := askHerd(t, herd); len(st.Told) > 0 {
		t.Errorf("told %v after a planned restart", st.Reasons)
	}
	for _, s := range services {
		s.kill(t)
	}
	serveAll()
	until(t, "all nodes are told by all", func() bool { return len(askHerd(t, herd).Told) >= servers*nodes })
	send()
	st := askHerd(t, herd)
	if len(st.Told) != servers*nodes || st.Most != servers || st.Reasons[string(wyvern.ReasonIncarnation)] != servers*nodes || st.Connected != servers*nodes {
		t.Errorf("%d connections, %d resyncs, up to %d of a node: %v", st.Connected, len(st.Told), st.Most, st.Reasons)
	}
	most := crowded(st.Told, spread.Milliseconds()/10)
	t.Logf("%d resyncs, up to %d in a tenth of %s", len(st.Told), most, spread)
	if most > servers*nodes/3 {
		t.Errorf("%d of %d resyncs within a tenth of the window", most, servers*nodes)
	}
}
