package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// inTempDir changes to an empty directory for the test, so that errors name
// files without a path.
func inTempDir(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
}

// mustLoad loads what must be valid.
func mustLoad(t *testing.T, s Sources) *Config {
	t.Helper()
	c, err := Load(s)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

// loadText loads one file, x.ini, with the text.
func loadText(t *testing.T, text string) (*Config, error) {
	t.Helper()
	inTempDir(t)
	return Load(Sources{Files: []string{write(t, "x.ini", text)}})
}

// wantErrors compares an error with the lines that it must have.
func wantErrors(t *testing.T, err error, want ...string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("error:\n got %s\nwant %s", got, w)
	}
	var joined interface{ Unwrap() []error }
	if len(want) > 0 && (!errors.As(err, &joined) || len(joined.Unwrap()) != len(want)) {
		t.Errorf("error %v does not join %d", err, len(want))
	}
}

// setting returns one of a Config's settings.
func setting(t *testing.T, c *Config, group, name string) Setting {
	t.Helper()
	for _, s := range c.Settings() {
		if s.Group == group && s.Name == name {
			return s
		}
	}
	t.Fatalf("no setting [%s] %s", group, name)
	return Setting{}
}

// testdata returns the path of a test file, valid in any directory.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
