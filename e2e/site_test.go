//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// site is a server of its own: a directory with a configuration.
type site struct {
	dir, file, socket string
	port              int      // 0: any
	network           *network // in which it is; nil: the machine's
	clock             string   // how its clock is wrong (clocks_test.go); empty: not
}

// newSite writes a configuration with the given lines for group [wyvern]. Its
// directory has a short name, as a socket's must.
func newSite(t testing.TB, lines ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wyv-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{dir: dir, file: filepath.Join(dir, "df.ini"), socket: filepath.Join(dir, "s")}
	s.write(t, lines...)
	return s
}

// write writes the configuration, as a deployment's file would be.
func (s *site) write(t testing.TB, lines ...string) {
	t.Helper()
	text := fmt.Sprintf(`[DEFAULT]
debug = true
[df]
pub_sub_driver = zmq_pubsub_driver
enable_df_pub_sub = True
publisher_bind_address = 127.0.0.1
publisher_port = %d
publisher_multiproc_socket = %s
[wyvern]
publisher_id = e2e
log_level = debug
%s
`, s.port, s.socket, strings.Join(lines, "\n"))
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newFixedSite is newSite with a port that can be bound again after a restart.
func newFixedSite(t testing.TB, lines ...string) *site {
	t.Helper()
	s := newSite(t, lines...)
	s.port = freeport.Port(t)
	s.write(t, lines...)
	return s
}

// service is a running `wyvern serve`.
type service struct {
	*process
	uri, address, socket string
}

var readyLine = regexp.MustCompile(`^wyvern: ready: network (tcp://(\S+)), ipc (\S+)$`)

// serve starts the service and waits until it is ready.
func (s *site) serve(t testing.TB, more ...string) *service {
	t.Helper()
	return s.serveWith(t, checked, more...)
}

// serveWith is serve with another binary.
func (s *site) serveWith(t testing.TB, program string, more ...string) *service {
	t.Helper()
	args := append([]string{"serve", "--config-file", s.file}, more...)
	if s.clock != "" {
		program, args = clocked(s.clock, args)
	}
	program, args = s.network.command(program, args)
	p := start(t, nil, program, args...)
	p.name = "serve"
	line := p.stderr.await(t, "wyvern: ready: ")
	m := readyLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("ready line %q", line)
	}
	return &service{p, m[1], m[2], m[3]}
}

// drain tells the service to stop, and checks that it leaves nothing behind.
func (s *service) drain(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	if status := s.wait(t); status != 0 {
		t.Errorf("serve: exit status %d after SIGTERM", status)
	}
}

// wyvernRun runs a verb to its end.
func wyvernRun(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := start(t, nil, checked, args...)
	p.stdin.Close()
	status = p.wait(t)
	return status, p.stdout.String(), p.stderr.String()
}
