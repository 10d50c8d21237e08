package archtest

import (
	"path"
	"testing"
)

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

// The parser must not be fooled by an empty walk: rules that nothing is held
// to always pass.
func TestTreeIsRead(t *testing.T) {
	tr := readTree(t)
	if want := "github.com/wyvern-pubsub/wyvern"; tr.module != want {
		t.Errorf("module %q, want %q", tr.module, want)
	}
	own := map[string]bool{}
	for _, p := range tr.packages {
		own[p.dir] = p.own
	}
	for _, dir := range []string{"driver", "internal/archtest"} {
		if !own[dir] {
			t.Errorf("package %s is not among those read", dir)
		}
	}
	if own, found := own["bench/compare"]; !found || own {
		t.Errorf("bench/compare: found %t, of the product's module %t; want true, false", found, own)
	}
}

// plant is a repository of one file, with a proper header.
func plant(t *testing.T, name, body string) *tree {
	t.Helper()
	return plantFile(t, name, planted(body))
}

func planted(body string) string { return "package p\n" + body + "\n" }

func plantFile(t *testing.T, name, src string) *tree {
	t.Helper()
	tr := &tree{module: "m"}
	if err := tr.add(name, path.Dir(name) != "bench/compare", []byte(src)); err != nil {
		t.Fatal(err)
	}
	return tr
}
