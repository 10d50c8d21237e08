//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// underStopped runs a service under load, beside readers that get everything,
// with so many subscribers that are stopped, and returns how much memory it has
// used at the end and at most.
func underStopped(t *testing.T, stopped int) (now, peak int64) {
	t.Helper()
	// So much that neither the log nor sockets hold it for those who are
	// stopped, and that the log has been around a few times; no faster than
	// this machine is on its worst day.
	const retention, size, batch, batches = 8 << 20, 2000, 500, 48
	site := newSite(t, fmt.Sprintf("retention = %d", retention), "log_level = info")
	svc := site.serveWith(t, plain)
	victims := start(t, nil, loader, "read", svc.address, itoa(stopped), "D")
	good := start(t, nil, loader, "read", svc.address, "5", "D")
	victims.stdout.await(t, `"connected"`)
	good.stdout.await(t, `"connected"`)
	victims.signal(t, syscall.SIGSTOP)
	until(t, "they are stopped", func() bool { return victims.state(t) == "T" })
	w := startWorker(t, "w", site.socket)
	value := strings.Repeat("x", size)
	for range batches {
		for range batch {
			e := numberedEvent(w.name, w.next, "D")
			e.Value = value
			w.publish(t, e)
			w.next++
		}
		until(t, "everything has arrived", func() bool { return ask(t, good).Least >= uint64(w.next) })
	}
	if st := ask(t, good); st.Gaps+st.Syncs > 0 || st.Ended > 0 || st.Events != uint64(5*w.next) {
		t.Errorf("of %d events, the readers have %+v", w.next, st)
	}
	if state := victims.state(t); state != "T" {
		t.Errorf("those who are stopped are in state %s", state)
	}
	now, peak = svc.memory(t)
	svc.drain(t)
	svc.stderr.await(t, "msg=stopped", fmt.Sprintf("fell_behind=%d ", stopped)) // each of them
	return now, peak
}

// A thousand subscribers that are stopped cost the service no more memory under
// load than one does, but for what each connection costs.
func TestS2StoppedSubscribers(t *testing.T) {
	const few, many, perConnection, margin = 1, 1000, 4 << 10, 4 << 20
	var now, peak [2]int64
	var wg sync.WaitGroup
	for i, n := range []int{few, many} {
		wg.Go(func() { now[i], peak[i] = underStopped(t, n) })
	}
	wg.Wait()
	t.Logf("with %d stopped: %d KiB, at most %d; with %d: %d KiB, at most %d", few, now[0]>>10, peak[0]>>10, many, now[1]>>10, peak[1]>>10)
	for what, m := range map[string][2]int64{"memory": now, "the peak of memory": peak} {
		if most := m[0] + margin + many*perConnection; m[1] > most {
			t.Errorf("%s is %d KiB with %d stopped subscribers, and %d KiB with %d: more than %d", what, m[1]>>10, many, m[0]>>10, few, most>>10)
		}
	}
}
