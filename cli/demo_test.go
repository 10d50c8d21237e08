package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/cli/demo"
)

// demoDir gives a demo a directory for its own, so that one sees what is left.
func demoDir(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = newSite(t).dir
	return dir, []string{"TMPDIR=" + dir}
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "wyvern-demo-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The system converges, in the time that was given, and leaves nothing behind.
func TestDemo(t *testing.T) {
	dir, env := demoDir(t)
	begin := time.Now()
	p := startWith(t, env, nil, "demo", "--workers", "2", "--nodes", "3", "--duration", "4s", "--seed", "7", "--rate", "500", "-o", "json")
	r := p.wait(t)
	took := time.Since(begin)
	var v demo.Verdict
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || r.status != 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	if !v.Converged || v.Nodes != 3 || v.ConvergedNodes != 3 || v.Workers != 2 || v.Published < 100 || v.Received < 100 ||
		v.Objects == 0 || v.Resyncs != 0 || v.Lag.P50 == 0 || v.Differences != nil {
		t.Errorf("verdict: %+v", v)
	}
	if took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if !strings.Contains(r.stderr, "; published ") {
		t.Errorf("no progress:\n%s", r.stderr)
	}
	if l := left(t, dir); l != nil {
		t.Errorf("left: %v", l)
	}
}

func TestDemoText(t *testing.T) {
	_, env := demoDir(t)
	r := startWith(t, env, nil, "demo", "--workers", "1", "--nodes", "1", "--duration", "2s").wait(t)
	if r.status != 0 || !strings.Contains(r.stdout, "\nverdict: converged: 1 of 1 nodes hold what 1 workers published: ") {
		t.Errorf("%+v", r)
	}
}

// children returns the processes of a demo.
func children(t *testing.T, p *process) []int {
	t.Helper()
	pid := p.cmd.Process.Pid
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid), "task", strconv.Itoa(pid), "children")); err != nil {
		t.Skip("the system does not tell the children of a process")
	}
	var pids []int
	// A child belongs to the thread that started it.
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
	}
	return pids
}

// gone waits for the end of processes.
func gone(t *testing.T, pids []int) {
	t.Helper()
	deadline := time.Now().Add(atMost)
	for _, pid := range pids {
		for running(pid) {
			if time.Now().After(deadline) {
				t.Errorf("process %d goes on", pid)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// running tells whether a process has not ended; nobody may wait for it.
func running(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// A demo that is told to stop, or killed, takes its processes with it; one of
// which a process fails says so.
func TestDemoEnds(t *testing.T) {
	begin := func(t *testing.T) (p *process, dir string, pids []int) {
		dir, env := demoDir(t)
		p = startWith(t, env, nil, "demo", "--workers", "2", "--nodes", "2", "--duration", "60s", "-o", "json")
		p.stderr.await(t, "; published ")
		pids = children(t, p)
		if len(pids) != 5 {
			t.Fatalf("children: %v", pids)
		}
		return p, dir, pids
	}
	t.Run("interrupted", func(t *testing.T) {
		p, dir, pids := begin(t)
		p.signal(t, syscall.SIGINT)
		r := p.wait(t)
		if r.status != 1 || !strings.HasSuffix(r.stderr, "wyvern: stopped before there was a verdict\n") || r.stdout != "" {
			t.Errorf("%+v", r)
		}
		gone(t, pids)
		if l := left(t, dir); l != nil {
			t.Errorf("left: %v", l)
		}
	})
	t.Run("killed", func(t *testing.T) {
		p, _, pids := begin(t)
		p.signal(t, syscall.SIGKILL)
		p.wait(t)
		gone(t, pids)
	})
	t.Run("child killed", func(t *testing.T) {
		p, dir, pids := begin(t)
		if err := syscall.Kill(pids[2], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r := p.wait(t)
		if r.status != 1 || !strings.Contains(r.stderr, "(process "+strconv.Itoa(pids[2])+"): signal: killed") {
			t.Errorf("%+v", r)
		}
		gone(t, pids)
		if l := left(t, dir); l != nil {
			t.Errorf("left: %v", l)
		}
	})
}

// Nodes that hold anything else than what the workers published are found, and
// the difference is named.
func TestDemoDiffers(t *testing.T) {
	dir, env := demoDir(t)
	p := startWith(t, env, nil, "demo", "--workers", "1", "--nodes", "2", "--duration", "3s", "-o", "json")
	p.stderr.await(t, "; published ")
	// Somebody else is at the socket.
	r := run(t, "", "pub", "--set", "df_zmq.ipc_socket="+filepath.Join(left(t, dir)[0], "socket"),
		"--table", "lport", "--key", "intruder", "--action", "create", "--version", "1")
	if r.status != 0 {
		t.Fatalf("pub: %+v", r)
	}
	r = p.wait(t)
	var v demo.Verdict
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if r.status != 1 || v.Converged || v.ConvergedNodes != 0 || len(v.Differences) != 2 ||
		!strings.HasSuffix(r.stderr, "wyvern: 2 of 2 nodes did not converge\n") {
		t.Fatalf("status %d, verdict %+v\n%s", r.status, v, r.stderr)
	}
	for i, d := range v.Differences {
		if d.Node != "node "+strconv.Itoa(i+1) || d.Count != 1 || d.First[0] != "lport intruder was never published" {
			t.Errorf("%+v", d)
		}
	}
}

// What keeps a process from starting is reported, with its hint.
func TestDemoCantStart(t *testing.T) {
	_, env := demoDir(t)
	r := startWith(t, env, nil, "demo", "--duration", "2s", "--set", "df.pub_sub_driver=nonsense").wait(t)
	if r.status != 1 || !strings.Contains(r.stderr, "wyvern: service (process ") || !strings.Contains(r.stderr, `unknown driver alias "nonsense"; hint: `) {
		t.Errorf("%+v", r)
	}
}
