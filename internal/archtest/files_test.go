package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxLines is where a file has to be split.
const maxLines = 800

func TestFilesAreNotTooLong(t *testing.T) {
	report(t, checkLength(readTree(t)))
}

func TestPackagesAreDocumented(t *testing.T) {
	report(t, checkDoc(readTree(t)))
}

func TestNothingOutsideOfTheRepository(t *testing.T) {
	report(t, checkPaths(readTree(t)))
}

func TestPlantedLongFileIsFound(t *testing.T) {
	header := strings.Count(planted(""), "\n")
	for lines, want := range map[int]int{maxLines: 0, maxLines + 1: 1} {
		got := checkLength(plant(t, "driver/x.go", strings.Repeat("\n", lines-header)))
		if len(got) != want {
			t.Errorf("%d lines: complaints %q, want %d", lines, got, want)
		}
	}
}

func TestPlantedMissingDocIsFound(t *testing.T) {
	cases := []struct {
		name, path, src string
		want            int
	}{
		{"none", "driver/x.go", "package driver\n", 1},
		{"a stray comment", "driver/x.go", "// What follows is long.\n\npackage driver\n", 1},
		{"another name", "driver/x.go", "// Package drivers is wrong.\npackage driver\n", 1},
		{"a proper one", "driver/x.go", "// Package driver is right.\npackage driver\n", 0},
		{"a program's", "cmd/wyvern/x.go", "// Command wyvern is right.\npackage main\n", 0},
		{"a program's, by its name", "cmd/wyvern/x.go", "// Wyvern is right.\npackage main\n", 0},
		{"a program's, as a package", "cmd/wyvern/x.go", "// Package main is wrong.\npackage main\n", 1},
		{"only in a test", "driver/x_test.go", "// Package driver is right.\npackage driver\n", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := checkDoc(plantFile(t, c.path, c.src)); len(got) != c.want {
				t.Errorf("complaints %q, want %d", got, c.want)
			}
		})
	}
}

func TestPlantedPathIsFound(t *testing.T) {
	up := strings.Repeat("../", 1)
	cases := []struct {
		name, path, src string
		want            int
	}{
		{"inside", "internal/workload/x.go", `var p = "` + up + `envelope/testdata/frames.jsonl"`, 0},
		{"the root", "internal/workload/x.go", `var p = "` + up + up + `go.mod"`, 0},
		{"outside", "internal/workload/x_test.go", `var p = "` + up + up + up + `shared/events.jsonl"`, 1},
		{"outside from the root", "x.go", `var p = "` + up + `shared"`, 1},
		{"only dots", "x.go", `var p = "` + `.` + `."`, 0},
		{"joined inside", "e2e/x.go", `var p = filepath.Join("` + `.` + `.", "go.mod")`, 0},
		{"joined outside", "e2e/x.go", `var p = filepath.Join("` + `.` + `.", "` + `.` + `.", "shared")`, 1},
		{"embedded", "e2e/x.go", "//go:embed " + up + up + "shared\nvar p string", 1},
		{"somebody's home", "e2e/x.go", `var p = "/ho` + `me/me/events"`, 1},
		{"below the repository's parent", "e2e/x.go", `var p = "/src/shared/events"`, 1},
		{"beside it in a comment", "e2e/x.go", "// See /src/shared/events.\nvar p int", 1},
		{"similar to it", "e2e/x.go", `var p = "/usr/src/shared"`, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tr := plant(t, c.path, c.src)
			tr.root = "/src/wyvern"
			if got := checkPaths(tr); len(got) != c.want {
				t.Errorf("complaints %q, want %d", got, c.want)
			}
		})
	}
}

func checkLength(t *tree) []string {
	var bad []string
	for _, p := range t.packages {
		for _, f := range p.files {
			if f.lines > maxLines && !ast.IsGenerated(f.ast) {
				bad = append(bad, fmt.Sprintf("%s: %d lines, at most %d: a file is one noun, and a longer one hides several", f.path, f.lines, maxLines))
			}
		}
	}
	return bad
}

// checkDoc wants a package comment, as godoc shows it.
func checkDoc(t *tree) []string {
	var bad []string
	for _, p := range t.packages {
		name := strings.TrimSuffix(p.files[0].ast.Name.Name, "_test")
		want := "Package " + name + " "
		or := want
		if name == "main" { // "Command gofmt ..." or "Gofmt ..."
			command := path.Base(p.dir)
			want, or = "Command "+command+" ", strings.ToUpper(command[:1])+command[1:]+" "
		}
		found := slices.ContainsFunc(p.files, func(f *file) bool {
			text := f.ast.Doc.Text()
			return strings.HasPrefix(text, want) || strings.HasPrefix(text, or)
		})
		if !found {
			bad = append(bad, fmt.Sprintf("%s: no package comment that begins %q: it is the first thing that a reader looks for", p.dir, want))
		}
	}
	return bad
}

// checkPaths complains of file names outside of the repository: a clone must
// be complete in itself.
func checkPaths(t *tree) []string {
	const why = "leaves the repository: a clone must be complete in itself"
	var bad []string
	for _, p := range t.packages {
		for _, f := range p.files {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if name := pathIn(n); name != "" && (escapes(p.dir, name) || t.foreign(name)) {
					bad = append(bad, fmt.Sprintf("%s: path %q %s", f.at(n), name, why))
				}
				return true
			})
			for _, group := range f.ast.Comments {
				for _, c := range group.List {
					for _, word := range strings.Fields(c.Text) {
						embed := strings.HasPrefix(c.Text, "//go:embed ") && escapes(p.dir, word)
						if embed || t.foreign(strings.Trim(word, "`\"'(),;:")) {
							bad = append(bad, fmt.Sprintf("%s: path %q in a comment %s", f.at(c), word, why))
						}
					}
				}
			}
		}
	}
	return bad
}

// pathIn returns the file name that a string literal or a call of
// filepath.Join with literals spells, or "".
func pathIn(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BasicLit:
		return literal(n)
	case *ast.CallExpr:
		fun, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || fun.Sel.Name != "Join" {
			return ""
		}
		if x, ok := fun.X.(*ast.Ident); !ok || x.Name != "filepath" && x.Name != "path" {
			return ""
		}
		var parts []string
		for _, arg := range n.Args {
			s := literal(arg)
			if s == "" {
				break
			}
			parts = append(parts, s)
		}
		return path.Join(parts...)
	}
	return ""
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// escapes says whether a relative file name, seen from a directory, is outside
// of the root.
func escapes(dir, name string) bool {
	if !strings.HasPrefix(name, "../") {
		return false
	}
	// Two levels below "/", so that nothing but ".." leads out.
	return !strings.HasPrefix(path.Join("/up/here", dir, name)+"/", "/up/here/")
}

// foreign says whether an absolute file name belongs to somebody's machine: a
// home directory, or the place where this clone happens to be. Directories that
// every machine has, such as /tmp, are no such place.
func (t *tree) foreign(name string) bool {
	for _, home := range []string{"/home", "/root", "/Users"} {
		if strings.HasPrefix(name, home+"/") {
			return true
		}
	}
	beside := path.Dir(t.root)
	common := []string{"/", "/tmp", "/var/tmp", "/usr/src", "/usr/local/src", "/opt", "/srv", "/mnt", "/run", "/var/run"}
	if t.root == "" || slices.Contains(common, beside) {
		beside = t.root
	}
	return beside != "" && strings.HasPrefix(name, beside+"/")
}
