package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSampleIsGolden(t *testing.T) {
	const golden = "testdata/sample.conf"
	var b bytes.Buffer
	if err := WriteSample(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the sample is not %s (go test -update rewrites it):\n%s", golden, b.String())
	}
	for i, line := range strings.Split(b.String(), "\n") {
		if len(line) > sampleWidth && strings.Contains(line, "# ") {
			t.Errorf("line %d has %d columns: %s", i+1, len(line), line)
		}
	}
}

// TestSampleIsTheDefaults: as it is and with every option uncommented, the
// sample changes nothing.
func TestSampleIsTheDefaults(t *testing.T) {
	text := sample(options(), sections())
	want := mustLoad(t, Sources{})
	uncommented := regexp.MustCompile(`(?m)^#(\w)`).ReplaceAllString(text, "$1")
	for name, text := range map[string]string{"commented": text, "uncommented": uncommented} {
		t.Run(name, func(t *testing.T) {
			c, err := loadText(t, text)
			if err != nil {
				t.Fatal(err)
			}
			set := 0
			if name == "uncommented" {
				set = len(options())
			}
			if len(c.sources) != set {
				t.Errorf("%d options are set, want %d", len(c.sources), set)
			}
			c.sources = want.sources
			if !reflect.DeepEqual(c, want) {
				t.Errorf("got  %+v\nwant %+v", c, want)
			}
		})
	}
}

func TestSampleShowsDeprecatedNames(t *testing.T) {
	if got := sample(testTable()); !strings.Contains(got, "# Deprecated name: [df] old_db\n") {
		t.Errorf("got %s", got)
	}
}

func TestWriteSampleReturnsTheWritersError(t *testing.T) {
	if err := WriteSample(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
