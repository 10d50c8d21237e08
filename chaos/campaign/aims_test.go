//go:build linux

package campaign

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// Every planted bug that processes can have has a row, and the document says so.
func TestEveryPlantHasAnAim(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "delivery.md"))
	if err != nil {
		t.Fatal(err)
	}
	var have []plant.Bug
	for i := range Aims {
		a := &Aims[i]
		if slices.Contains(have, a.Bug) {
			t.Errorf("%s has two rows", a.Bug)
		}
		have = append(have, a.Bug)
		if !slices.Contains(plant.InProcesses(), a.Bug) {
			t.Errorf("%s is no planted bug of processes", a.Bug)
		}
		known := []string{validator.Filter, validator.Ordered, validator.Unique, validator.Told, validator.Notice, validator.Needless, Died}
		if len(a.Want) == 0 || slices.ContainsFunc(a.Want, func(w string) bool { return !slices.Contains(known, w) }) {
			t.Errorf("%s wants %q", a.Bug, a.Want)
		}
		if !strings.Contains(string(text), "| `"+string(a.Bug)+"` |") {
			t.Errorf("%s is not in docs/delivery.md", a.Bug)
		}
	}
	for _, bug := range plant.InProcesses() {
		if !slices.Contains(have, bug) {
			t.Errorf("%s has no row: no campaign looks for it", bug)
		}
	}
}

// What is wrong with what became of a trial is said.
func TestCatchIsJudged(t *testing.T) {
	aim := &Aim{Bug: "x", Want: []string{validator.Notice}}
	for _, tt := range []struct {
		name     string
		property string
		unproven []string
		control  bool
		wrong    string
	}{
		{"found", validator.Notice, nil, false, ""},
		{"found though a fault missed", validator.Notice, []string{"f"}, false, ""},
		{"not found", "", []string{"f: it missed"}, false, `the bug was not found; faults that did not strike: ["f: it missed"]`},
		{"something else found", validator.Filter, nil, false, `want one of ["I5 bounded notice"]: what`},
		{"control", "", nil, true, ""},
		{"control that found something", validator.Notice, nil, true, "without a bug: what"},
		{"control without a fault", "", []string{"f: it missed"}, true, `faults that did not strike: ["f: it missed"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Catch{Aim: aim, Property: tt.property, What: "what", Unproven: tt.unproven}
			if got := c.Wrong(tt.control); got != tt.wrong {
				t.Errorf("got %q, want %q", got, tt.wrong)
			}
		})
	}
}
