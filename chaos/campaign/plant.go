//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// PlantOptions say what Plant does.
type PlantOptions struct {
	// Programs have to be built with the tag `plant`.
	Programs Programs
	Seed     uint64
	// Bug is the only one, if set. Short: those that every change has to pass.
	Bug   string
	Short bool
	// Control: without any bug; nothing may be found.
	Control bool
	// Parallel is how many go side by side.
	Parallel int
	// Logs is the directory for logs; default: a new one, removed when all is
	// well.
	Logs string
	// Out receives a line per bug.
	Out io.Writer
}

// Plant puts known bugs into the processes of small systems, one bug into each,
// and says whether every one violated what it has to.
func Plant(ctx context.Context, o PlantOptions) (good bool, err error) {
	aims := slices.DeleteFunc(slices.Clone(Aims), func(a Aim) bool {
		return o.Bug != "" && string(a.Bug) != o.Bug || o.Short && !a.Short
	})
	if len(aims) == 0 {
		return false, fmt.Errorf("no planted bug %q", o.Bug)
	}
	logs := o.Logs
	if logs == "" {
		if logs, err = os.MkdirTemp("", "wyvern-plant-"); err != nil {
			return false, err
		}
		defer func() {
			if good && err == nil {
				err = os.RemoveAll(logs)
			}
		}()
	}
	begun := time.Now()
	var mu sync.Mutex
	found := 0
	good = true
	err = someAtATime(max(o.Parallel, 1), len(aims), func(i int) error {
		c, err := aims[i].Try(ctx, o.Programs, o.Seed, logs, o.Control)
		if err != nil {
			return fmt.Errorf("%s: %w", aims[i].Bug, err)
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(o.Out, c)
		if o.Bug != "" && c.What != "" {
			fmt.Fprintln(o.Out, "  "+c.What)
		}
		if c.Property != "" {
			found++
		}
		if why := c.Wrong(o.Control); why != "" {
			good = false
			fmt.Fprintf(o.Out, "  %s\n  logs are in %s\n", why, c.Logs)
		}
		return nil
	})
	what := "planted bugs found"
	if o.Control {
		what = "found without a bug"
	}
	fmt.Fprintf(o.Out, "%d of %d %s, in %v\n", found, len(aims), what, time.Since(begun).Round(time.Second))
	return good && err == nil, err
}

// someAtATime calls f for each number below n, so many at once.
func someAtATime(atOnce, n int, f func(int) error) error {
	turns := make(chan struct{}, atOnce)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-turns
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Wrong says what is wrong with what became of a trial; nothing if that is as it
// has to be.
func (c *Catch) Wrong(control bool) string {
	switch {
	case control && c.Property != "":
		return "without a bug: " + c.What
	case control && len(c.Unproven) > 0:
		return fmt.Sprintf("faults that did not strike: %q", c.Unproven)
	case control:
		return ""
	case c.Property == "":
		return fmt.Sprintf("the bug was not found; faults that did not strike: %q", c.Unproven)
	case !slices.Contains(c.Aim.Want, c.Property):
		return fmt.Sprintf("want one of %q: %s", c.Aim.Want, c.What)
	}
	return ""
}
