//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// checkRefused runs serve, which must refuse to, with all the texts and a hint.
func checkRefused(t *testing.T, args []string, hint bool, texts ...string) {
	t.Helper()
	status, stdout, stderr := wyvernRun(t, append([]string{"serve"}, args...)...)
	if status == 0 || stdout != "" || hint != strings.Contains(stderr, "\nhint: ") {
		t.Errorf("serve %q: exit status %d\n%s", args, status, stderr)
	}
	if !strings.HasPrefix(stderr, "wyvern: ") {
		t.Errorf("not an error of one line: %s", stderr)
	}
	for _, text := range texts {
		if !strings.Contains(stderr, text) {
			t.Errorf("serve %q: the error lacks %q:\n%s", args, text, stderr)
		}
	}
}

// A second service on the same socket, or on the same port, is refused with an
// error that names the owner, and the first goes on (contract: 4; failures: C5).
func TestC5SecondService(t *testing.T) {
	t.Parallel()
	site := newFixedSite(t)
	svc := site.serve(t)
	node := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	owner := fmt.Sprintf("process %d", svc.pid())
	checkRefused(t, []string{"--config-file", site.file, "--set", "df.publisher_port=0"}, true, site.socket, "in use by", owner)
	checkRefused(t, []string{"--config-file", site.file, "--set", "df.publisher_multiproc_socket=" + site.socket + "2"}, true,
		fmt.Sprintf(":%d", site.port), "in use by", owner)
	w.send(t, "D", 100)
	node.awaitSets(t, 100)
	svc.drain(t)
}

// Of many that start at once exactly one runs (failures: C5, "race").
func TestC5ServicesRace(t *testing.T) {
	t.Parallel()
	const starters = 20
	for _, what := range []string{"socket", "port"} {
		t.Run(what, func(t *testing.T) {
			site := newSite(t)
			if what == "port" {
				site = newFixedSite(t)
			}
			for round := range 4 {
				processes := make([]*process, starters)
				gates := make([]*os.File, starters)
				for i := range processes {
					// All wait for their configuration, so that they start as one.
					pipe := filepath.Join(site.dir, fmt.Sprintf("%d-%d", round, i))
					if err := syscall.Mkfifo(pipe, 0o600); err != nil {
						t.Fatal(err)
					}
					args := []string{"serve", "--config-file", site.file, "--config-file", pipe}
					if what == "port" {
						args = append(args, "--set", fmt.Sprintf("df.publisher_multiproc_socket=%s%d", site.socket, i))
					}
					processes[i] = start(t, nil, plain, args...)
					var err error
					if gates[i], err = os.OpenFile(pipe, os.O_WRONLY, 0); err != nil { // waits for the reader
						t.Fatal(err)
					}
				}
				for _, g := range gates {
					g.Close()
				}
				// Each is ready or ends.
				var wg sync.WaitGroup
				ready := make([]bool, starters)
				for i, p := range processes {
					wg.Go(func() {
						for {
							_, ok, ended, changed := p.stderr.find(0, "wyvern: ready")
							if ready[i] = ok; ok || ended {
								return
							}
							<-changed
						}
					})
				}
				wg.Wait()
				running := 0
				for i, p := range processes {
					if ready[i] {
						running++
						p.kill(t) // and what it leaves behind is the next round's
						continue
					}
					if status := p.wait(t); status == 0 {
						t.Error("a service that is not ready ended with exit status 0")
					}
					p.stderr.await(t, "in use by")
					p.stderr.await(t, "hint: ")
				}
				if running != 1 {
					t.Errorf("%d of %d run, want 1", running, starters)
				}
			}
		})
	}
}

// A service that can't be as it is configured says why, and what is valid.
func TestServiceRefuses(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	file := filepath.Join(site.dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(site.dir, strings.Repeat("x", 108-len(site.dir)-1))
	for name, tt := range map[string]struct {
		set   string
		hint  bool
		texts []string
	}{
		"socket is a directory": {"df.publisher_multiproc_socket=" + site.dir, true, []string{site.dir, "is a directory"}},
		"socket is a file":      {"df.publisher_multiproc_socket=" + file, true, []string{file, "not a socket"}},
		"socket is too long":    {"df.publisher_multiproc_socket=" + long, false, []string{"107", "publisher_multiproc_socket"}},
		"port is taken":         {fmt.Sprintf("df.publisher_port=%d", taken), true, []string{fmt.Sprint(taken), "in use by", fmt.Sprintf("process %d", os.Getpid())}},
		"unknown driver":        {"df.pub_sub_driver=kafka", true, []string{`"kafka"`, "zmq_pubsub_driver", "zmq_bind_pubsub_driver"}},
		"unknown ipc driver":    {"df.pub_sub_multiproc_driver=kafka", true, []string{`"kafka"`, "zmq_pubsub_multiproc_driver"}},
		"unsupported transport": {"df.publisher_transport=epgm", true, []string{`"epgm"`, "tcp"}},
		"not a port":            {"df.publisher_port=70000", false, []string{"publisher_port", "70000", "0..65535"}},
		"foreign address":       {"df.publisher_bind_address=192.0.2.1", true, []string{"192.0.2.1", "publisher_bind_address"}},
	} {
		t.Run(name, func(t *testing.T) {
			checkRefused(t, []string{"--config-file", site.file, "--set", tt.set}, tt.hint, tt.texts...)
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
}

// A file that can't be read, or not be understood, stops the start with its name
// and line (contract: 5).
func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Should one of them start after all, it is not to be in anybody's way.
	own := []string{"--set", "df.publisher_port=0", "--set", "df.publisher_multiproc_socket=" + newSite(t).socket}
	for name, tt := range map[string]struct {
		text  string
		texts []string
	}{
		"malformed":      {"[df]\npublisher_port = 8866\nthis is not a setting\n", []string{":3"}},
		"open group":     {"[df\n", []string{":1"}},
		"invalid value":  {"[df]\n\nremote_db_port = http\n", []string{":3", "remote_db_port", `"http"`, "0..65535"}},
		"invalid size":   {"[wyvern]\nretention = lots\n", []string{":2", "retention", `"lots"`}},
		"unknown option": {"[wyvern]\nretentoin = 1MiB\n", []string{":2", "retentoin", "retention"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".ini")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if len(tt.texts) > 0 {
				tt.texts[0] = file + tt.texts[0]
			}
			status, _, stderr := wyvernRun(t, append([]string{"serve", "--config-file", file}, own...)...)
			if status == 0 {
				t.Errorf("exit status 0")
			}
			for _, text := range tt.texts {
				if !strings.Contains(stderr, text) {
					t.Errorf("the error lacks %q:\n%s", text, stderr)
				}
			}
		})
	}
	for name, file := range map[string]string{"missing": filepath.Join(dir, "none"), "a directory": dir} {
		t.Run(name, func(t *testing.T) {
			if status, _, stderr := wyvernRun(t, append([]string{"serve", "--config-file", file}, own...)...); status == 0 || !strings.Contains(stderr, file) {
				t.Errorf("exit status %d\n%s", status, stderr)
			}
		})
	}
}

// A file that the user of the service may not read stops the start with its
// name. Root may read everything, so a test that is root becomes somebody else.
func TestConfigurationFileIsUnreadable(t *testing.T) {
	t.Parallel()
	// A directory that everybody may enter, and a link to the program: a copy
	// that is still open for writing somewhere can't be executed.
	dir, err := os.MkdirTemp("", "wyvern-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, file := filepath.Join(dir, "wyvern"), filepath.Join(dir, "secret.ini")
	if err := errors.Join(
		os.Link(plain, program),
		os.WriteFile(file, []byte("[df]\npublisher_port = 1234\n"), 0o644),
		os.Chmod(program, 0o755), os.Chmod(dir, 0o755), // whatever the umask
	); err != nil {
		t.Fatal(err)
	}
	look := func() (string, error) {
		cmd := exec.Command(program, "config", "--config-file", file)
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := look(); err != nil || !strings.Contains(out, "1234") {
		t.Fatalf("while it is readable: %v\n%s", err, out)
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if out, err := look(); err == nil || !strings.Contains(out, file+": permission denied") {
		t.Errorf("%v\n%s", err, out)
	}
}
