package plant

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Every bug that has a name is on a list of what has to be found, once.
func TestEveryBugIsToBeFound(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "bug.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []Bug
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Bug" {
				name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				if name != string(None) {
					named = append(named, Bug(name))
				}
			}
		}
		return true
	})
	if len(named) < 30 {
		t.Fatalf("only %d bugs in the source", len(named))
	}
	for _, bug := range named {
		if !slices.Contains(slices.Concat(Simulated, InProcesses(), OnBrokers), bug) {
			t.Errorf("%s is on no list: nobody looks for it", bug)
		}
	}
	for _, list := range [][]Bug{Simulated, InProcesses(), OnBrokers} {
		for i, bug := range list {
			if !slices.Contains(named, bug) || slices.Contains(list[:i], bug) {
				t.Errorf("%s has no name, or is twice on a list", bug)
			}
		}
	}
	for _, n := range NotInProcesses {
		if !slices.Contains(Simulated, n.Bug) || n.Why == "" {
			t.Errorf("%s is found by nobody, for %q", n.Bug, n.Why)
		}
	}
}

// Whoever plants a bug needs the build tag.
func TestOnNeedsTheTag(t *testing.T) {
	defer Set(None)
	Set(GapsAboveTwo)
	if On(GapsAboveTwo) != Enabled {
		t.Errorf("on: %t, with the tag: %t", On(GapsAboveTwo), Enabled)
	}
	if On(GiveUp) {
		t.Error("another bug is on")
	}
}

// With a planted bug, and only then, the time that passes is that of a clock that
// can be set.
func TestSince(t *testing.T) {
	defer Set(None)
	file := filepath.Join(t.TempDir(), "clock")
	t.Setenv("WYVERN_PLANT_CLOCK", file)
	if err := os.WriteFile(file, []byte("-1h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if d := Since(began); d < 0 || d > time.Minute {
		t.Errorf("%v have passed", d)
	}
	Set(WallClock)
	if d := Since(began); (d < -time.Minute) != Enabled {
		t.Errorf("%v have passed, with the tag: %t", d, Enabled)
	}
}
