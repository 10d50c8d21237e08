package archtest

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// failures are the rows that docs/delivery.md must have.
var failures = strings.Fields(`C5 C6 C7 C8 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 N1 N2 N3 N4 N5 N6 N7 N8 N9 N10 N11
	B1 B3 B4 B7 X1 X2 X3 X4 X5 X6`)

// The table of failures names tests that exist, for each failure one at least
// that has the row in its name, and leaves out none that has.
func TestFailuresHaveTests(t *testing.T) {
	tr := readTree(t)
	text, err := os.ReadFile(filepath.Join(tr.root, "docs", "delivery.md"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkFailures(tr, string(text), failures))
}

func TestPlantedFailuresAreFound(t *testing.T) {
	tr := &tree{module: "m"}
	for name, src := range map[string]string{
		"e2e/a_test.go": "package e2e\nfunc TestS1Restart() {}\nfunc TestS11Many() {}\nfunc TestOther() {}\nfunc helper() {}\n",
		"b_test.go":     "package wyvern_test\nfunc TestS1Epoch() {}\nfunc FuzzAll() {}\n",
		"c.go":          "package wyvern\nfunc TestS1NotATest() {}\n",
	} {
		if err := tr.add(name, true, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	const both = "`e2e.TestS1Restart`, `wyvern.TestS1Epoch`"
	cases := []struct {
		name, table string
		want        int
	}{
		{"right", "| S1 | x | " + both + " | yes |", 0},
		{"with others", "| S1 | x | " + both + ", `e2e.TestOther`, `wyvern.FuzzAll` | in part: y |", 0},
		{"no row", "| S2 | x | `e2e.TestOther` | yes |", 2},
		{"no section", "", 1},
		{"no such test", "| S1 | x | " + both + ", `e2e.TestS1Missing` | yes |", 1},
		{"in no test file", "| S1 | x | " + both + ", `wyvern.TestS1NotATest` | yes |", 1},
		{"of another package", "| S1 | x | " + both + ", `wyvern.TestOther` | yes |", 1},
		{"no test", "| S1 | x | " + both + ", `e2e.helper` | yes |", 1},
		{"not all", "| S1 | x | `e2e.TestS1Restart` | yes |", 1},
		{"none of its name", "| S1 | x | `e2e.TestS11Many` | yes |", 3},
		{"no state", "| S1 | x | " + both + " | |", 1},
		{"an empty part", "| S1 | x | " + both + " | in part: |", 1},
		{"twice", "| S1 | x | " + both + " | yes |\n| S1 | x | " + both + " | yes |", 1},
		{"columns", "| S1 | " + both + " | yes |", 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := "# Delivery\n\n| S1 | elsewhere | x | y |\n\n" + failureTitle + "\n\n| row | a | b | c |\n| --- | --- | --- | --- |\n" + c.table + "\n\n## More\n"
			if c.table == "" {
				text = "# Delivery\n"
			}
			if got := checkFailures(tr, text, []string{"S1"}); len(got) != c.want {
				t.Errorf("complaints %q, want %d", got, c.want)
			}
		})
	}
}

const failureTitle = "## Failures and their tests"

var (
	failureRow = regexp.MustCompile(`^\| ([A-Z][0-9]+) \|`)
	testName   = regexp.MustCompile("`([^`]+)`")
)

// checkFailures holds the table of failures against the tests that there are.
func checkFailures(tr *tree, text string, want []string) []string {
	_, text, found := strings.Cut(text, failureTitle+"\n")
	if !found {
		return []string{fmt.Sprintf("docs/delivery.md: no section %q", failureTitle)}
	}
	text, _, _ = strings.Cut(text, "\n## ")
	tests := tr.testNames()
	var bad []string
	complain := func(row, format string, args ...any) {
		bad = append(bad, fmt.Sprintf("docs/delivery.md, row %s: ", row)+fmt.Sprintf(format, args...))
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		m := failureRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		row := m[1]
		if seen[row] {
			complain(row, "it is there twice")
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 {
			complain(row, "%d columns, want 4", len(cells)-2)
			continue
		}
		seen[row] = true
		var named []string
		for _, m := range testName.FindAllStringSubmatch(cells[3], -1) {
			if !slices.Contains(tests, m[1]) {
				complain(row, "there is no test %s", m[1])
			}
			named = append(named, m[1])
		}
		about := func(test string) bool {
			_, name, _ := strings.Cut(test, ".Test")
			rest, ok := strings.CutPrefix(name, row)
			return ok && rest != "" && (rest[0] < '0' || rest[0] > '9')
		}
		if !slices.ContainsFunc(named, about) {
			complain(row, "no test has the row in its name")
		}
		for _, test := range tests {
			if about(test) && !slices.Contains(named, test) {
				complain(row, "%s is left out", test)
			}
		}
		state := strings.TrimSpace(cells[4])
		if what, part := strings.CutPrefix(state, "in part:"); state != "yes" && (!part || what == "") {
			complain(row, "the state is %q, want yes, or in part and what is missing", state)
		}
	}
	for _, row := range want {
		if !seen[row] {
			complain(row, "it is missing")
		}
	}
	return bad
}

// testNames lists the tests and fuzz targets, by the name of their package.
func (t *tree) testNames() (names []string) {
	for _, p := range t.packages {
		for _, f := range p.files {
			if !f.test {
				continue
			}
			pkg := strings.TrimSuffix(f.ast.Name.Name, "_test")
			for _, d := range f.ast.Decls {
				fun, ok := d.(*ast.FuncDecl)
				if ok && fun.Recv == nil && (strings.HasPrefix(fun.Name.Name, "Test") || strings.HasPrefix(fun.Name.Name, "Fuzz")) {
					names = append(names, pkg+"."+fun.Name.Name)
				}
			}
		}
	}
	return names
}
