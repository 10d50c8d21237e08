package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  cobra.NoArgs,
	}
	output := addFormat(cmd, formatText)
	cmd.RunE = func(*cobra.Command, []string) error {
		build, _ := debug.ReadBuildInfo()
		v := newVersionInfo(a.version, build)
		if *output == formatJSON {
			return printJSON(a.stdout, v)
		}
		_, err := fmt.Fprintln(a.stdout, v)
		return err
	}
	return cmd
}

// newVersionInfo tells what is known: a build without a version is of
// development; build may be nil.
func newVersionInfo(version string, build *debug.BuildInfo) versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build != nil {
		if v.Version == "" && build.Main.Version != "(devel)" {
			v.Version = build.Main.Version
		}
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if v.Version == "" {
		v.Version = "devel"
	}
	return v
}

// String is the line for people.
func (v versionInfo) String() string {
	commit := ""
	if v.Commit != "" {
		commit = " commit " + v.Commit
		if v.Modified {
			commit += " (modified)"
		}
	}
	return fmt.Sprintf("wyvern %s%s %s %s", v.Version, commit, v.Go, v.Platform)
}
