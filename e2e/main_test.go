//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

const python = "/usr/bin/python3"

// The programs under test, built once. They are static like the product's
// binary; checked is the same with the race detector if the tests have it, and
// skewed with a clock that may be wrong.
var plain, checked, skewed, loader, herder, linker string

// long makes those tests that have more to do than fits into a CI run do all of it,
// and those that go on for as long as one says do that.
var long = flag.Duration("long", 0, "run the long tests at full length, and those without an end for so long (make test-long)")

func TestMain(m *testing.M) {
	etcdserver.Main() // if this is a server of a test
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if *long > 0 {
		atMost = 2 * time.Minute
	}
	dir, err := os.MkdirTemp("", "wyvern-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Orphans of a killed process become ours, so that none is overlooked.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "become the reaper of orphans:", err)
		return 1
	}
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 {
		if err := errors.Join(awaitGoroutines(before), awaitProcesses()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// prepare looks for what the tests need, and builds the programs.
func prepare(dir string) error {
	if out, err := exec.Command(python, "-c", "import zmq, msgpack").CombinedOutput(); err != nil {
		return fmt.Errorf("%s can't import zmq and msgpack: %w\n%s\nhint: run `make deps`", python, err, out)
	}
	plain, loader, herder = filepath.Join(dir, "wyvern"), filepath.Join(dir, "load"), filepath.Join(dir, "herd")
	skewed, linker = filepath.Join(dir, "wyvern-clock"), filepath.Join(dir, "link")
	checked = plain
	if err := build(plain, "../cmd/wyvern", "0"); err != nil {
		return err
	}
	if raceEnabled {
		checked = filepath.Join(dir, "wyvern-race")
		if err := build(checked, "../cmd/wyvern", "1", "-race"); err != nil {
			return err
		}
	}
	return errors.Join(buildClock(dir, skewed), build(loader, "./testdata/load", "0"), build(herder, "./testdata/herd", "0"), build(linker, "./testdata/link", "0"))
}

func build(name, pkg, cgo string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", name}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// awaitGoroutines waits until the goroutines that tests started have ended.
func awaitGoroutines(before int) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := runtime.NumGoroutine() - before
		if left <= 0 {
			return nil
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			return fmt.Errorf("the tests left %d goroutines behind:\n\n%s", left, stacks)
		}
	}
}

// awaitProcesses waits until all child processes have ended.
func awaitProcesses() error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case err == unix.ECHILD:
			return nil
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("look for processes left behind: %w", err)
		case pid == 0 && time.Now().After(deadline):
			children, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
			return fmt.Errorf("the tests left processes behind: %s", strings.TrimSpace(string(children)))
		}
	}
}
