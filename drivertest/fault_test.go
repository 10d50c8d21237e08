package drivertest

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/mem"
)

// A driver that loses messages and says so, in its capabilities, passes: what is
// lost is told.
func TestFaultsWithLossyDriver(t *testing.T) {
	var lost atomic.Int64
	d := &wrapped{Driver: mem.Driver{Hub: new(mem.Hub)}}
	onPublish(func(_ int, msgs []driver.Message) []driver.Message {
		return slices.DeleteFunc(msgs, func(driver.Message) bool { return lost.Add(1)%20 == 0 })
	})(d)
	RunFaults(t, Harness{Driver: plain{d}}, nil)
	if lost.Load() < 20 {
		t.Errorf("only %d messages passed: nothing was lost", lost.Load())
	}
}

// brokenFaults are bugs that the judge must find, and part of what it says.
var brokenFaults = []struct {
	name, says string
	fault      Fault
	spoil      func(m *driver.Message) (drop bool) // once the fault has struck
}{
	{"the last event of a topic is lost", "I5 bounded notice: session all, topic \"lull\"", Fault{Within: 2 * time.Second},
		func(m *driver.Message) bool { return string(m.Topic) == lullTopic }},
	{"nothing flows afterwards", "no flow after the fault", Fault{},
		func(*driver.Message) bool { return true }},
	{"resume is claimed and not done", "told to resync: map[gap:", Fault{Resumes: true, Within: 2 * time.Second}, nil},
}

const brokenFaultEnv = "WYVERN_DRIVERTEST_BROKEN_FAULT"

// TestBrokenFault is for the subprocesses of TestJudgeFindsBugs.
func TestBrokenFault(t *testing.T) {
	name := os.Getenv(brokenFaultEnv)
	for _, b := range brokenFaults {
		if b.name != name {
			continue
		}
		var struck atomic.Bool
		var count atomic.Int64
		d := &wrapped{Driver: mem.Driver{Hub: new(mem.Hub)}}
		onPublish(func(_ int, msgs []driver.Message) []driver.Message {
			return slices.DeleteFunc(msgs, func(m driver.Message) bool {
				if b.spoil == nil { // one is lost
					return struck.Load() && count.Add(1) == 10
				}
				return struck.Load() && b.spoil(&m)
			})
		})(d)
		b.fault.Name = "Fault"
		b.fault.Strike = func(testing.TB, driver.Config) { struck.Store(true) }
		RunFaults(t, Harness{Driver: d, Timeout: 3 * time.Second}, []Fault{b.fault})
	}
}

func TestJudgeFindsBugs(t *testing.T) {
	if os.Getenv(brokenFaultEnv) != "" {
		t.Skip("this is a subprocess")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range brokenFaults {
		t.Run(b.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestBrokenFault$/^Fault$")
			cmd.Env = append(os.Environ(), brokenFaultEnv+"="+b.name)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: TestBrokenFault/Fault ")) || !bytes.Contains(out, []byte(b.says)) {
				t.Errorf("got %v, want a failure that says %q\n%s", err, b.says, out)
			}
		})
	}
}
