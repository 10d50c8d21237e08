//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// clockSource is added to package time of the program whose clock is wrong.
const clockSource = `package time

import "syscall"

var wrong, _ = syscall.Getenv("E2E_CLOCK")

// wrongBy returns by how many seconds the clock that people set is wrong.
func wrongBy(monotonic int64) int64 {
	switch wrong {
	case "ahead":
		return 3600
	case "behind":
		return -3600
	case "jumping":
		return (monotonic/3e8%2*2 - 1) * 3600
	}
	return 0
}
`

// buildClock builds the program with a package time whose clock is an hour ahead or
// behind, or jumps from one to the other all the time, as the environment says. The
// monotonic clock, by which timers go, is right, and the machine's is left alone: a
// namespace can't have another, and a static program takes no other library.
func buildClock(dir, program string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find package time: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	const line = "\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), line) != 1 {
		return fmt.Errorf("%s reads the clock in another way than package e2e knows", original)
	}
	edited, added, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "wrong.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{
		original: edited, filepath.Join(filepath.Dir(original), "wrong.go"): added,
	}})
	if err != nil {
		return err
	}
	for name, what := range map[string]string{
		edited: strings.Replace(string(text), line, line+"\tsec += wrongBy(mono)\n", 1), added: clockSource, overlay: string(replace),
	} {
		if err := os.WriteFile(name, []byte(what), 0o600); err != nil {
			return err
		}
	}
	return build(program, "../cmd/wyvern", "0", "-overlay", overlay, "-tags", "no_nats,no_redis,no_etcd")
}

// clocked returns how to run the program with a clock that is wrong.
func clocked(clock string, args []string) (string, []string) {
	return "env", append([]string{"E2E_CLOCK=" + clock, skewed}, args...)
}

var logTime = regexp.MustCompile(`time=(\S+) `)

// checkClock fails if the clock of a program is not wrong, as its log has it.
func checkClock(t testing.TB, p *process) {
	t.Helper()
	p.stderr.mu.Lock()
	defer p.stderr.mu.Unlock()
	for _, line := range p.stderr.lines {
		if m := logTime.FindStringSubmatch(line); m != nil {
			at, err := time.Parse(time.RFC3339, m[1])
			if err != nil {
				t.Fatal(err)
			}
			if off := time.Since(at).Abs(); off > 50*time.Minute && off < 70*time.Minute {
				return
			}
		}
	}
	t.Errorf("the clock of %s was not wrong", p.name)
}

// Clocks are off by an hour, and set by two again and again, while one of two services is gone for ever: that is told once, by silence, and nothing is
// told as long as both live, nor of the other one (failures: B4; B7, for a clock
// that jumps).
func TestB4ClocksAreWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doomed, healthy, node string }{
		{"they differ", "ahead", "behind", ""},
		{"the node's jumps", "", "ahead", "jumping"},
		{"all jump", "jumping", "jumping", "jumping"},
	} {
		for _, killed := range []bool{true, false} {
			t.Run(c.name+map[bool]string{true: ", killed", false: ", silent"}[killed], func(t *testing.T) {
				t.Parallel()
				sites := []*site{newSite(t), newSite(t)}
				sites[0].clock, sites[1].clock = c.doomed, c.healthy
				var services []*service
				for i, s := range sites {
					services = append(services, s.serveWith(t, plain, "--set", fmt.Sprint("wyvern.publisher_id=server-", i)))
				}
				in := newInbox("node")
				args := []string{"sub", "--connect", services[0].uri, "--connect", services[1].uri, "--topic", "D", "--topic", "quiet"}
				for _, s := range []string{"log_level=debug", "heartbeat_interval=100ms", "heartbeat_timeout=1s", "lost_after=1200ms", "resync_spread=200ms"} {
					args = append(args, "--set", "wyvern."+s)
				}
				program, args := clocked(c.node, args)
				node := start(t, in.line, program, args...)
				node.name = "node"
				for i := range services {
					node.stderr.await(t, "publisher connected", fmt.Sprint("id=server-", i))
				}
				doomed, healthy := startWorker(t, "a", sites[0].socket), startWorker(t, "b", sites[1].socket)
				doomed.warm(t, "quiet", in)
				healthy.warm(t, "quiet", in)
				doomed.send(t, "D", 10)
				stop := healthy.keepSending(t, "D")
				time.Sleep(3 * time.Second) // more than twice what it takes to be gone, and ten jumps
				in.awaitKey(t, "a-9")
				wantNoResync(t, in)
				doomed.publish(t, wyvern.Event{Table: "t", Key: "before", Action: "set", Topic: "quiet"})
				in.awaitKey(t, "before")
				if killed {
					services[0].kill(t)
				} else {
					services[0].signal(t, syscall.SIGSTOP)
				}
				in.until(t, "a resync of both topics", func(in *inbox) bool { return in.actions["sync"] >= 2 })
				time.Sleep(3 * time.Second) // nothing more is to be told
				sent := stop()
				healthy.flush(t)
				in.awaitKey(t, "b-"+itoa(sent-1))
				lost := string(wyvern.ReasonLost)
				if got := resyncs(in); got["D: "+lost] != 1 || got["quiet: "+lost] != 1 || len(got) != 2 {
					t.Errorf("told %v, want once per topic that the publisher is lost", got)
				}
				if missing := checkTold(t, only(in, "b"), "D"); missing != 0 {
					t.Errorf("%d events of the other service are missing", missing)
				}
				if c.node != "" {
					checkClock(t, node)
				}
				checkClock(t, services[1].process)
			})
		}
	}
}
