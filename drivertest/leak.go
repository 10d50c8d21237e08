package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// leakTimeout is how long a goroutine may take to end after what it served was
// closed.
const leakTimeout = 10 * time.Second

// Main runs the tests of a package and fails if they leave goroutines behind.
// Call it from TestMain.
func Main(m *testing.M) {
	before := goroutines()
	code := m.Run()
	if code == 0 {
		if left := leaked(before, leakTimeout); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "the tests left %d goroutines behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// CheckLeaks makes the test fail if a goroutine that was started after this
// call is still there when everything registered by t.Cleanup after this call
// has run.
func CheckLeaks(t testing.TB) { checkLeaks(t, leakTimeout) }

func checkLeaks(t testing.TB, timeout time.Duration) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		t.Helper()
		if left := leaked(before, timeout); len(left) > 0 {
			t.Errorf("%d goroutines are left:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

// leaked returns the stacks of goroutines that were not there before.
func leaked(before map[string]string, timeout time.Duration) []string {
	return last(timeout, func() (stacks []string) {
		for id, stack := range goroutines() {
			if _, old := before[id]; !old {
				stacks = append(stacks, stack)
			}
		}
		return stacks
	})
}

// last looks for stacks again, at growing intervals, until there are none or the
// time is over.
func last(timeout time.Duration, look func() []string) []string {
	deadline := time.Now().Add(timeout)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		stacks := look()
		if len(stacks) == 0 || time.Now().After(deadline) {
			return stacks
		}
		time.Sleep(wait)
	}
}

// caseLabel is a label of goroutines, which those inherit that they start: the
// name of their case.
const caseLabel = "drivertest"

// checkOwnLeaks is checkLeaks beside other tests: only goroutines that the
// caller's has started, or one of those, count. What a timer starts has no
// origin, and is left to Main.
func checkOwnLeaks(t testing.TB, timeout time.Duration) {
	t.Helper()
	setLabel(t.Name())
	t.Cleanup(func() {
		t.Helper()
		pprof.SetGoroutineLabels(context.Background())
		if left := last(timeout, func() []string { return labelled(t.Name()) }); len(left) > 0 {
			t.Errorf("%d goroutines are left, some of which may be several:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

func setLabel(name string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(caseLabel, name)))
}

// labelled returns the stacks of goroutines with a label. Like ones are one.
func labelled(name string) (stacks []string) {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		return []string{err.Error()}
	}
	label := fmt.Sprintf("%q:%q", caseLabel, name)
	for _, stack := range strings.Split(buf.String(), "\n\n") {
		if strings.Contains(stack, label) && !ours(stack) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// goroutines returns the stacks of all goroutines but the caller's and those
// that belong to the runtime and to package testing, by their number.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	byID := make(map[string]string)
	for i, stack := range bytes.Split(buf, []byte("\n\n")) {
		text := string(bytes.TrimSpace(stack))
		id, _, _ := strings.Cut(strings.TrimPrefix(text, "goroutine "), " ")
		if i == 0 || ours(text) {
			continue // the caller is the first
		}
		byID[id] = text
	}
	return byID
}

// ours tells whether a goroutine is part of how tests run.
func ours(stack string) bool {
	for _, s := range []string{
		"testing.(*T).Run(", "testing.(*M).", "testing.(*B).", "testing.runTests(", "testing.tRunner.func", "testing.runFuzzing(",
		"os/signal.signal_recv", "os/signal.loop", "runtime.ensureSigM", "runtime/trace", "runtime/pprof.profileWriter",
	} {
		if strings.Contains(stack, s) {
			return true
		}
	}
	return false
}
