package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tree is the source of the repository.
type tree struct {
	root     string // absolute; "" if planted
	module   string
	packages []*pkg
}

// pkg is the Go files of one directory.
type pkg struct {
	dir   string // slashes, relative to the root; "." is the root package
	own   bool   // of the product's module, not of one nested in it
	files []*file
}

// file is one Go file, parsed.
type file struct {
	path  string // slashes, relative to the root
	test  bool
	lines int
	set   *token.FileSet
	ast   *ast.File
}

// at is where a node stands, for people.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(n.Pos()).Line)
}

// add parses a file into the package of its directory.
func (t *tree) add(name string, own bool, src []byte) error {
	f := &file{
		path:  name,
		test:  strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(src, []byte("\n")),
		set:   token.NewFileSet(),
	}
	var err error
	f.ast, err = parser.ParseFile(f.set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	for _, p := range t.packages {
		if p.dir == dir {
			p.files = append(p.files, f)
			return nil
		}
	}
	t.packages = append(t.packages, &pkg{dir: dir, own: own, files: []*file{f}})
	return nil
}

// readTree parses every Go file of the repository.
func readTree(t *testing.T) *tree {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{root: root, module: moduleName(mod)}
	foreign := map[string]bool{} // directories of nested modules
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // another test's temporary file
			}
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin") {
				return filepath.SkipDir
			}
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			foreign[rel] = rel != "." && (err == nil || foreign[path.Dir(rel)])
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return tr.add(rel, !foreign[path.Dir(rel)], src)
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func moduleName(mod []byte) string {
	for line := range strings.Lines(string(mod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// imported is one import: of a package of ours by its directory, or of another
// by its path. Both are empty for the standard library.
type imported struct {
	ours, third string
	spec        *ast.ImportSpec
}

// importsOf lists what is not the standard library.
func (t *tree) importsOf(f *file) []imported {
	var list []imported
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		first, _, _ := strings.Cut(name, "/")
		switch rest, ours := strings.CutPrefix(name, t.module); {
		case ours && rest == "":
			list = append(list, imported{ours: ".", spec: spec})
		case ours && rest[0] == '/':
			list = append(list, imported{ours: rest[1:], spec: spec})
		case strings.Contains(first, "."):
			list = append(list, imported{third: name, spec: spec})
		}
	}
	return list
}
