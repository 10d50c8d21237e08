package cli

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	if r := run(t, "", "version"); r.status != 0 || !strings.HasPrefix(r.stdout, "wyvern ") {
		t.Errorf("%+v", r)
	}
	r := run(t, "", "version", "-o", "json")
	var v versionInfo
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || r.status != 0 || v.Go == "" || v.Version == "" {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestVersionInfo(t *testing.T) {
	build := &debug.BuildInfo{
		Main: debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "today"},
		},
	}
	for _, tt := range []struct {
		name    string
		version string
		build   *debug.BuildInfo
		want    string
	}{
		{"nothing", "", nil, "wyvern devel go"},
		{"release", "1.0.0", build, "wyvern 1.0.0 commit abc (modified) go"},
		{"installed", "", build, "wyvern v1.2.3 commit abc (modified) go"},
		{"source", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "wyvern devel go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newVersionInfo(tt.version, tt.build).String(); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q...", got, tt.want)
			}
		})
	}
}
