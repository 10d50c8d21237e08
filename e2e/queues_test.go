//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// renewal is how often there are new subscribers that are stopped: those that were
// are given up when they have taken nothing for a minute (TCP_USER_TIMEOUT).
const renewal = 50 * time.Second

// settled is after how many of them memory is as large as it gets: of those that
// were given up Go collects what is left when it has doubled.
const settled = 5

// stopSubscribers starts so many and stops them.
func stopSubscribers(t *testing.T, svc *service, count int) *process {
	t.Helper()
	p := start(t, nil, loader, "read", svc.address, itoa(count), "D")
	p.stdout.await(t, `"connected"`)
	p.signal(t, syscall.SIGSTOP)
	until(t, "they are stopped", func() bool { return p.state(t) == "T" })
	return p
}

// underStopped runs a service under load for some time, beside readers that get
// everything, with so many subscribers that are stopped at any moment, and returns
// how much memory it has used in the first minutes, at the end and at most.
func underStopped(t *testing.T, stopped int, lasting time.Duration) (first, now, peak int64) {
	t.Helper()
	// So much that neither the log nor sockets hold it for those who are
	// stopped, and that the log has been around a few times; no faster than
	// this machine is on its worst day.
	const retention, size, batch, batches = 8 << 20, 2000, 500, 48
	site := newSite(t, fmt.Sprintf("retention = %d", retention), "log_level = info")
	svc := site.serveWith(t, plain)
	// Before the others: at the end of one, who came when it was already silent
	// may be the same node, and is told to sync.
	good := start(t, nil, loader, "read", svc.address, "5", "D")
	good.stdout.await(t, `"connected"`)
	victims := []*process{stopSubscribers(t, svc, stopped)}
	w := startWorker(t, "w", site.socket)
	value := strings.Repeat("x", size)
	pace := time.NewTicker(100 * time.Millisecond) // of what is more than enough
	defer pace.Stop()
	began, born := time.Now(), time.Now()
	for i := 0; i < batches || time.Since(began) < lasting; i++ {
		if i >= batches && time.Since(born) > renewal {
			now, peak := svc.memory(t)
			if len(victims) <= settled {
				first = max(first, now)
			}
			t.Logf("%d stopped, after %s: %d KiB, at most %d", stopped, time.Since(began).Round(time.Second), now>>10, peak>>10)
			if n := len(victims); n > 1 {
				victims[n-2].kill(t)
			}
			victims = append(victims, stopSubscribers(t, svc, stopped))
			i, born = 0, time.Now()
		}
		if i >= batches {
			<-pace.C
		}
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
	if state := victims[len(victims)-1].state(t); state != "T" {
		t.Errorf("those who are stopped are in state %s", state)
	}
	now, peak = svc.memory(t)
	t.Logf("%d events in %s, %d times %d subscribers stopped", w.next, time.Since(began), len(victims), stopped)
	svc.drain(t)
	line := svc.stderr.await(t, "msg=stopped", "fell_behind=")
	var behind int
	_, text, _ := strings.Cut(line, "fell_behind=")
	if _, err := fmt.Sscan(text, &behind); err != nil {
		t.Fatal(err)
	}
	if behind < len(victims)*stopped { // more: the kernel may take something for one that is stopped
		t.Errorf("%d fell behind, want %d: %s", behind, len(victims)*stopped, line)
	}
	return first, now, peak
}

// A thousand subscribers that are stopped cost the service no more memory under
// load than one does, but for what each connection costs, and no more after an hour
// than after some minutes (-long 1h; failures: S2).
func TestS2StoppedSubscribers(t *testing.T) {
	const few, many, perConnection = 1, 1000, 4 << 10
	connections, margin := many, int64(4<<20)
	if *long > 0 { // there are twice as many when they are renewed, and as many that are not collected yet
		connections, margin = 4*many, 2*margin
	}
	var first, now, peak [2]int64
	var wg sync.WaitGroup
	for i, n := range []int{few, many} {
		wg.Go(func() { first[i], now[i], peak[i] = underStopped(t, n, *long) })
	}
	wg.Wait()
	for i, n := range []int{few, many} {
		t.Logf("with %d stopped: %d KiB, at most %d", n, now[i]>>10, peak[i]>>10)
		if first[i] != 0 && now[i] > first[i]+margin {
			t.Errorf("memory is %d KiB with %d stopped subscribers, and was %d KiB in the first minutes", now[i]>>10, n, first[i]>>10)
		}
	}
	for what, m := range map[string][2]int64{"memory": now, "the peak of memory": peak} {
		if most := m[0] + margin + int64(connections)*perConnection; m[1] > most {
			t.Errorf("%s is %d KiB with %d stopped subscribers, and %d KiB with %d: more than %d", what, m[1]>>10, many, m[0]>>10, few, most>>10)
		}
	}
}
