//go:build linux

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// cpuTime returns how long a process has computed.
func (p *process) cpuTime(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// starve lets a process run for a twentieth of the time, until stop is called,
// which returns how often it was stopped.
func (p *process) starve(t testing.TB) (stop func() int) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	times := 0
	go func() {
		defer close(ended)
		for {
			_ = p.cmd.Process.Signal(syscall.SIGSTOP)
			times++
			select {
			case <-time.After(95 * time.Millisecond):
			case <-done:
				_ = p.cmd.Process.Signal(syscall.SIGCONT)
				return
			}
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	stopped := false
	stop = func() int {
		if !stopped {
			stopped = true
			close(done)
			<-ended
		}
		return times
	}
	t.Cleanup(func() { stop() })
	return stop
}

// A service with one thread and a twentieth of a processor, which is given load
// meanwhile, still has its events arrive, or be told, within 3 s, the last one of
// a quiet topic that was lost on the way too; and nobody believes that it is gone
// (failures: S7).
func TestS7Starved(t *testing.T) { // not beside others, which starve it more
	const bound = 3 * time.Second
	site := newSite(t, "log_level = info")
	p := start(t, nil, "/usr/bin/env", "GOMAXPROCS=1", plain, "serve", "--config-file", site.file)
	p.name = "serve"
	address := readyTCP.FindStringSubmatch(p.stderr.await(t, "wyvern: ready: "))[1]
	link, uri := zmqProxy(t, address)
	node := startSubscriber(t, "node", uri, "D", "quiet")
	other := startSubscriber(t, "other", "tcp://"+address, "D", "quiet")
	w, quiet := startWorker(t, "w", site.socket), startWorker(t, "quiet", site.socket)
	w.warm(t, "D", node.inbox, other.inbox)
	quiet.warm(t, "quiet", node.inbox, other.inbox)

	before, began := p.cpuTime(t), time.Now()
	fed := p.starve(t)
	stop := w.keepSending(t, "D")
	var worst time.Duration
	for i := range 12 {
		lost := i%3 == 2
		if lost {
			link.Swallow(func(topic, _ []byte) bool { return string(topic) == "quiet" })
		}
		key := fmt.Sprint("quiet ", i)
		sent := time.Now()
		quiet.publish(t, wyvern.Event{Table: "t", Key: key, Action: "set", Topic: "quiet"})
		other.awaitKey(t, key)
		node.until(t, key+", or a resync", func(in *inbox) bool { return in.keys[key] > 0 || in.actions["sync"] > 0 })
		worst = max(worst, time.Since(sent))
	}
	used, took := p.cpuTime(t)-before, time.Since(began)
	times := fed()
	sentByW := stop()
	t.Logf("%d events meanwhile; the worst took %s; %s of processor in %s, stopped %d times", sentByW, worst.Round(time.Millisecond), used, took, times)
	if worst > bound {
		t.Errorf("an event took %s, more than %s", worst, bound)
	}
	if times < 20 || used > took/5 {
		t.Errorf("it was not starved: %s of processor in %s, stopped %d times", used, took, times)
	}
	if n := link.Counts().Swallowed; n != 4 {
		t.Errorf("%d events were lost on the way, want 4", n)
	}
	w.flush(t)
	for _, n := range []*inbox{node.inbox, other.inbox} {
		n.awaitKey(t, "w-"+itoa(sentByW-1))
		checkTold(t, n, "quiet")
		checkTold(t, n, "D")
		wantNoResync(t, n)
	}
}

var readyTCP = regexp.MustCompile(`network tcp://(\S+),`)
