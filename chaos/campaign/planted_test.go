//go:build linux && plant

package campaign

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var seed = flag.Uint64("seed", 1, "of the trials")

// programs builds what runs, with the switches for planted bugs.
var programs = sync.OnceValues(func() (p Programs, err error) {
	dir, err := os.MkdirTemp("", "wyvern-planted-")
	if err != nil {
		return p, err
	}
	p = Programs{Wyvern: filepath.Join(dir, "wyvern"), Self: filepath.Join(dir, "chaos"), Python: "/usr/bin/python3"}
	for name, pkg := range map[string]string{p.Wyvern: "../../cmd/wyvern", p.Self: "../cmd/chaos"} {
		cmd := exec.Command("go", "build", "-tags", "plant", "-o", name, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return p, err
		}
	}
	return p, exec.Command(p.Python, "-c", "import zmq, msgpack").Run()
})

func TestMain(m *testing.M) {
	status := m.Run()
	if p, _ := programs(); p.Wyvern != "" {
		os.RemoveAll(filepath.Dir(p.Wyvern))
	}
	os.Exit(status)
}

// TestPlanted puts one known bug after the other into the processes of a small
// system. Each must be found. With -short it is a share of them.
func TestPlanted(t *testing.T) { try(t, false) }

// TestPlantedControl is the same without any bug: every fault has to strike, and
// nothing may be found.
func TestPlantedControl(t *testing.T) { try(t, true) }

func try(t *testing.T, control bool) {
	p, err := programs()
	if err != nil {
		t.Fatalf("build what runs: %v; hint: run `make deps`", err)
	}
	var mu sync.Mutex
	var table []string
	t.Run("bug", func(t *testing.T) {
		for i := range Aims {
			a := &Aims[i]
			if testing.Short() && !a.Short {
				continue
			}
			t.Run(string(a.Bug), func(t *testing.T) {
				t.Parallel()
				logs, err := os.MkdirTemp("", "wyvern-plant-")
				if err != nil {
					t.Fatal(err)
				}
				c, err := a.Try(t.Context(), p, *seed, logs, control)
				if err != nil {
					t.Fatalf("%v; logs are in %s", err, logs)
				}
				mu.Lock()
				table = append(table, c.String())
				mu.Unlock()
				if why := c.Wrong(control); why != "" {
					t.Fatalf("%s; logs are in %s", why, logs)
				}
				if c.What != "" {
					t.Log(c.What)
				}
				os.RemoveAll(logs)
			})
		}
	})
	slices.Sort(table)
	t.Logf("%d trials\n%s", len(table), strings.Join(table, "\n"))
}
