package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// beWyvern makes the test binary be the command: its processes then are built
// as the tests are, with -race for one.
const beWyvern = "WYVERN_TEST_BE_WYVERN"

func TestMain(m *testing.M) {
	if os.Getenv(beWyvern) != "" {
		Main("")
	}
	drivertest.Main(m)
}

// atMost is how long a test waits for what should come at once.
const atMost = 20 * time.Second

// command returns a process of the command, not started.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector would wait a second at the end of each.
	cmd.Env = []string{beWyvern + "=1", "GORACE=atexit_sleep_ms=0"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WYVERN_") && !strings.HasPrefix(v, "NOTIFY_SOCKET=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// result is how a process ended.
type result struct {
	status         int
	stdout, stderr string
}

// run runs the command to its end.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return start(t, strings.NewReader(stdin), args...).wait(t)
}

// process is a running one.
type process struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer // after the end
	stderr *follower
	ended  chan error
}

// start starts a process, which ends with the test at the latest.
func start(t *testing.T, stdin io.Reader, args ...string) *process {
	t.Helper()
	return startWith(t, nil, stdin, args...)
}

// startWith is start with more environment variables.
func startWith(t *testing.T, env []string, stdin io.Reader, args ...string) *process {
	t.Helper()
	p := &process{cmd: command(args...), ended: make(chan error, 1), stderr: newFollower()}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.stdout, p.stderr
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := p.cmd.Wait()
		p.stderr.close()
		p.ended <- err
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // it may have ended
		<-done
	})
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait returns how the process ended.
func (p *process) wait(t *testing.T) result {
	t.Helper()
	select {
	case err := <-p.ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return result{p.cmd.ProcessState.ExitCode(), p.stdout.String(), p.stderr.String()}
	case <-time.After(atMost):
		t.Fatalf("%v has not ended; stderr:\n%s", p.cmd.Args[1:], p.stderr.String())
	}
	panic("unreachable")
}

// follower keeps what is written, and tells when lines come.
type follower struct {
	mu      sync.Mutex
	text    []byte
	read    int           // of text, by await
	changed chan struct{} // closed and replaced with every change
	closed  bool
}

func newFollower() *follower { return &follower{changed: make(chan struct{})} }

func (f *follower) notifyLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = append(f.text, p...)
	f.notifyLocked()
	return len(p), nil
}

func (f *follower) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.notifyLocked()
}

// String returns all that was written.
func (f *follower) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.text)
}

// next returns a line that was not read yet, or what to wait for.
func (f *follower) next() (line string, ok, closed bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := bytes.IndexByte(f.text[f.read:], '\n')
	if i < 0 {
		return "", false, f.closed, f.changed
	}
	line = string(f.text[f.read : f.read+i])
	f.read += i + 1
	return line, true, false, nil
}

// await returns the first line from here on that contains text.
func (f *follower) await(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(atMost)
	for {
		line, ok, closed, changed := f.next()
		switch {
		case ok && strings.Contains(line, text):
			return line
		case ok:
			continue
		case closed:
			t.Fatalf("it ended without a line with %q:\n%s", text, f)
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no line with %q:\n%s", text, f)
		}
	}
}

// site is the configuration of a service of the test's own.
type site struct {
	file, socket, uri string
	dir               string
}

// newSite returns a configuration with a free port. The directory's name is
// short, as a socket's must be.
func newSite(t *testing.T, lines ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "wyvern-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := freeport.Port(t)
	s := &site{
		dir:    dir,
		file:   filepath.Join(dir, "dragonflow.ini"),
		socket: filepath.Join(dir, "socket"),
		uri:    "tcp://127.0.0.1:" + strconv.Itoa(port),
	}
	text := "[df]\npublisher_bind_address = 127.0.0.1\npublisher_port = " + strconv.Itoa(port) +
		"\npublisher_multiproc_socket = " + s.socket + "\n[wyvern]\npublisher_id = test\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// args returns a verb with the site's configuration.
func (s *site) args(verb string, more ...string) []string {
	return append([]string{verb, "--config-file", s.file}, more...)
}

// serve starts the service of the site, and waits until it is ready.
func (s *site) serve(t *testing.T, more ...string) *process {
	t.Helper()
	p := start(t, nil, s.args("serve", more...)...)
	p.stderr.await(t, "wyvern: ready: ")
	return p
}

// subscribe starts sub, and waits until it is connected.
func (s *site) subscribe(t *testing.T, more ...string) *process {
	t.Helper()
	p := start(t, nil, s.args("sub", append(more, "--set", "wyvern.log_level=debug")...)...)
	p.stderr.await(t, "publisher connected")
	return p
}

// end drains a service.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if r := p.wait(t); r.status != 0 {
		t.Errorf("serve: status %d\n%s", r.status, r.stderr)
	}
}
