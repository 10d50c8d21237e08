//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// atMost is how long a test waits for what should come soon, on a machine that
// may be busy; longer where there is more to come (-long).
var atMost = 15 * time.Second

// output is what a process has written: lines, and a signal when there are more.
type output struct {
	take func(line string) bool // keeps a line away from the others; may be nil

	mu      sync.Mutex
	lines   []string
	ended   bool
	changed chan struct{}
}

func newOutput(take func(string) bool) *output {
	return &output{take: take, changed: make(chan struct{})}
}

// pump reads until the end.
func (o *output) pump(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), 16<<20)
	for s.Scan() {
		line := s.Text()
		if o.take != nil && o.take(line) {
			continue
		}
		o.mu.Lock()
		o.lines = append(o.lines, line)
		o.notifyLocked()
		o.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // or who writes a longer line would block
	o.mu.Lock()
	o.ended = true
	o.notifyLocked()
	o.mu.Unlock()
}

func (o *output) notifyLocked() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// find returns the first line, from the given one on, that has all the texts.
func (o *output) find(from int, texts ...string) (line string, ok, ended bool, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.lines[min(from, len(o.lines)):] {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			return line, true, o.ended, nil
		}
	}
	return "", false, o.ended, o.changed
}

// await returns the first line that has all the texts, as soon as it is there.
func (o *output) await(t testing.TB, texts ...string) string {
	t.Helper()
	return o.awaitFrom(t, 0, texts...)
}

// awaitFrom leaves out the lines before the given one.
func (o *output) awaitFrom(t testing.TB, from int, texts ...string) string {
	t.Helper()
	timeout := time.After(atMost)
	for {
		line, ok, ended, changed := o.find(from, texts...)
		if ok {
			return line
		}
		if ended {
			t.Fatalf("the output ended without a line that has %q:\n%s", texts, o)
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no line that has %q:\n%s", texts, o)
		}
	}
}

// count returns how many lines there are so far.
func (o *output) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines)
}

// String returns the last lines.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines[max(0, len(o.lines)-60):], "\n")
}

// process is one that was started by a test.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *output
	stderr *output
	ended  chan struct{} // closed when it has ended and all of its output was read
	err    error         // of Wait; after ended
}

// start starts a program. It is killed when the test ends, if not before, and
// its output is shown if the test has failed. take, which may be nil, is given
// each line of its standard output first.
func start(t testing.TB, take func(string) bool, name string, args ...string) *process {
	t.Helper()
	return startWith(t, newOutput(take), name, args...)
}

func startWith(t testing.TB, stdout *output, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(name, args...), stdout: stdout, stderr: newOutput(nil), ended: make(chan struct{})}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WYVERN_") && !strings.HasPrefix(v, "NOTIFY_SOCKET=") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, "GORACE=atexit_sleep_ms=0", "PYTHONDONTWRITEBYTECODE=1")
	var pipes [2]io.ReadCloser
	var errs [3]error
	p.stdin, errs[0] = p.cmd.StdinPipe()
	pipes[0], errs[1] = p.cmd.StdoutPipe()
	pipes[1], errs[2] = p.cmd.StderrPipe()
	if err := errors.Join(errors.Join(errs[:]...), p.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		var wg sync.WaitGroup
		wg.Go(func() { p.stdout.pump(pipes[0]) })
		wg.Go(func() { p.stderr.pump(pipes[1]) })
		wg.Wait()
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stdin.Close()
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		if line, found, _, _ := p.stderr.find(0, "DATA RACE"); found {
			t.Errorf("%s: %s", p.name, line)
		}
		if t.Failed() {
			t.Logf("%s %.300q, process %d: %v\nstdout, the end:\n%.3000s\nstderr, the end:\n%.6000s",
				p.name, args, p.pid(), p.err, p.stdout, p.stderr)
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("send %v to %s: %v", s, p.name, err)
	}
}

// order writes a line of JSON to the process.
func (p *process) order(t testing.TB, what any) {
	t.Helper()
	line, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		t.Fatalf("order %s to %s: %v", line, p.name, err)
	}
}

// wait waits for the end and returns the exit status; -1: killed by a signal.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(atMost):
		t.Fatalf("%s (process %d) has not ended", p.name, p.pid())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatalf("wait for %s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill kills it, and checks that it died of that.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("%s was not killed: %v", p.name, p.cmd.ProcessState)
	}
}

// alive fails the test if the process has ended.
func (p *process) alive(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
		t.Fatalf("%s has ended: %v", p.name, p.err)
	default:
	}
}

// memory returns VmRSS and VmHWM, the present and the largest resident size, in
// bytes.
func (p *process) memory(t testing.TB) (now, peak int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			now = kib << 10
		case "VmHWM:":
			peak = kib << 10
		}
	}
	if now == 0 || peak == 0 {
		t.Fatalf("no resident size in the status of process %d", p.pid())
	}
	return now, peak
}

// state returns the letter of the process's state: T is stopped.
func (p *process) state(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may have spaces.
	_, rest, _ := strings.Cut(string(b), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}

// until asks again and again until the answer is yes: for what nobody tells.
func until(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(atMost)
	for !yes() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
