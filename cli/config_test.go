package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	site := newSite(t)
	p := startWith(t, []string{"WYVERN_WYVERN__RETENTION=2MiB"}, nil,
		site.args("config", "-o", "json", "--set", "wyvern.max_workers=7")...)
	r := p.wait(t)
	var all []setting
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || r.status != 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	want := map[string]string{
		"df.publisher_bind_address": "127.0.0.1 of " + site.file + ":2",
		"wyvern.retention":          "2MiB of environment WYVERN_WYVERN__RETENTION",
		"wyvern.max_workers":        "7 of --set",
		"wyvern.max_subscribers":    "16384 of default",
	}
	for _, s := range all {
		name := s.Group + "." + s.Name
		if w, ok := want[name]; ok && w != s.Value+" of "+s.Source {
			t.Errorf("%s = %s of %s, want %s", name, s.Value, s.Source, w)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	r = run(t, "", site.args("config")...)
	if line := "df.publisher_bind_address"; r.status != 0 || !strings.Contains(r.stdout, "\n"+line) || strings.Count(r.stdout, "\n") != len(all)+1 {
		t.Errorf("%+v", r)
	}
}

// The sample is a configuration with nothing but defaults.
func TestConfigDefaults(t *testing.T) {
	r := run(t, "", "config", "--defaults")
	if r.status != 0 || !strings.Contains(r.stdout, "\n#publisher_port = 8866\n") {
		t.Errorf("%+v", r)
	}
}

// Every mistake in a configuration is a line of its own.
func TestConfigErrors(t *testing.T) {
	r := run(t, "", "serve", "--set", "df.publisher_port=http", "--set", "wyvern.log_level=loud")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	if r.status != 1 || len(lines) != 2 {
		t.Fatalf("status %d:\n%s", r.status, r.stderr)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "wyvern: --set: ") {
			t.Errorf("line %q", l)
		}
	}
}
