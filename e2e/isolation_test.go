//go:build linux

package e2e

import (
	"encoding/json"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// loadStatus is what testdata/load tells of its subscribers.
type loadStatus struct {
	Subscribers, Ended               int
	Least, Most, Gaps, Syncs, Events uint64
}

// ask asks a reader for its status.
func ask(t testing.TB, p *process) (st loadStatus) {
	t.Helper()
	from := p.stdout.count()
	p.order(t, "status")
	if err := json.Unmarshal([]byte(p.stdout.awaitFrom(t, from, `"subscribers"`)), &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// A subscriber that is stopped under full load costs the others nothing: 99 of
// them get every event, the memory of the service stays within its budget, and
// the one that was stopped is told to resync and goes on when it may (contract:
// I11; failures: S2, N1).
func TestS2StoppedSubscriber(t *testing.T) {
	const retention = 8 << 20
	// What operations.md says: twice the retention and some for each connection.
	const budget = 2*retention + 48<<20
	const atLeast = 2 * time.Second // of load
	site := newSite(t, "retention = 8MiB")
	svc := site.serveWith(t, plain)
	var readers []*process
	for range 3 {
		readers = append(readers, start(t, nil, loader, "read", svc.address, "33", "D"))
	}
	victim := start(t, nil, loader, "read", svc.address, "1", "D")
	for _, p := range append(readers, victim) {
		p.stdout.await(t, `"connected"`)
	}
	push := start(t, nil, loader, "push", svc.socket, "4", "D")
	push.stdout.await(t, `"connected"`)
	begin := time.Now()
	until(t, "the victim has events", func() bool { return ask(t, victim).Events > 100 })
	before := ask(t, victim)
	if before.Gaps+before.Syncs > 0 {
		t.Fatalf("the victim lost events before it was stopped: %+v", before)
	}
	victim.signal(t, syscall.SIGSTOP)
	until(t, "the victim is stopped", func() bool { return victim.state(t) == "T" })
	// So far behind that neither the log nor sockets can hold it for the victim.
	const far = (retention + 8<<20) / 2000
	until(t, "the victim is far behind", func() bool { return ask(t, readers[0]).Most > before.Most+far })
	until(t, "the load has lasted", func() bool { return time.Since(begin) > atLeast })
	if state := victim.state(t); state != "T" {
		t.Errorf("the victim's state is %s", state)
	}
	push.order(t, "stop")
	var sent struct{ Sent uint64 }
	if err := json.Unmarshal([]byte(push.stdout.await(t, `"sent"`)), &sent); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	for _, p := range readers {
		until(t, "everything has arrived", func() bool { return ask(t, p).Least >= sent.Sent })
		if st := ask(t, p); st.Gaps+st.Syncs > 0 || st.Ended > 0 || st.Most != sent.Sent || st.Events != 33*sent.Sent {
			t.Errorf("of %d events, a reader has %+v", sent.Sent, st)
		}
	}
	_, peak := svc.memory(t)
	t.Logf("%d events of 2 KB to 99 subscribers in %v; peak of memory %d MiB", sent.Sent, took.Round(time.Millisecond), peak>>20)
	if peak > budget {
		t.Errorf("the service used up to %d MiB, more than %d", peak>>20, budget>>20)
	}

	svc.stderr.await(t, "subscriber is slow", "peer=", "behind_bytes=", "lost_events=true") // while it is
	victim.signal(t, syscall.SIGCONT)
	svc.stderr.await(t, "subscriber fell behind", "told to resync")
	// The next event is the first after the loss that it can get.
	w := startWorker(t, "w", site.socket)
	w.send(t, "D", 10)
	until(t, "the victim has the latest event", func() bool { return ask(t, victim).Most >= sent.Sent+10 })
	if st := ask(t, victim); st.Syncs == 0 || st.Gaps == 0 || st.Ended > 0 {
		t.Errorf("the victim was not told what it lost: %+v", st)
	}
	svc.drain(t)
}
