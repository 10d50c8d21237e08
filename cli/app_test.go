package cli

import (
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args           string
		status         int
		stdout, stderr string // the beginning
	}{
		{"", 0, "Wyvern carries", ""},
		{"--help", 0, "Wyvern carries", ""},
		{"sub --help", 0, "Subscribe to topics", ""},
		{"nonsense", 2, "", "wyvern: unknown command \"nonsense\" for \"wyvern\"\nhint: see wyvern --help\n"},
		{"serve now", 2, "", "wyvern: unknown command \"now\" for \"wyvern serve\"\nhint: see wyvern serve --help\n"},
		{"sub --nonsense", 2, "", "wyvern: unknown flag: --nonsense\nhint: see wyvern sub --help\n"},
		{"drivers -o xml", 2, "", "wyvern: invalid argument \"xml\" for \"-o, --output\" flag: none of json, text, markdown\nhint: see wyvern drivers --help\n"},
		{"pub", 2, "", "wyvern: at least one of the flags in the group [from action] is required\nhint: see wyvern pub --help\n"},
		{"pub --from x --key 1", 2, "", "wyvern: if any flags in the group [from key] are set none of the others can be; [from key] were all set\nhint: see wyvern pub --help\n"},
		{"pub --action set --wait-subscribers 1", 2, "", "wyvern: --wait-subscribers needs --direct"},
		{"pub --action set --timeout 0s", 2, "", "wyvern: --timeout must be positive\n"},
		{"sub --timeout -1s", 2, "", "wyvern: --timeout must not be negative\n"},
		{"demo --nodes 0", 2, "", "wyvern: --nodes must be 1 to 1000\n"},
		{"demo --rate 0", 2, "", "wyvern: --rate must be above 0"},
		{"demo --duration 1ms", 2, "", "wyvern: --duration must be 1s to 24h\n"},
		{"demo-node", 1, "", "wyvern: a node is started by the demo, not by hand\n"},
		{"demo-worker", 1, "", "wyvern: a worker is started by the demo, not by hand\n"},
		{"config --set df.publisher_prt=1", 1, "", "wyvern: --set: [df] has no option publisher_prt; did you mean publisher_port?\n"},
		{"serve --config-file /nowhere/x.ini", 1, "", "wyvern: /nowhere/x.ini: no such file or directory\n"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			r := run(t, "", strings.Fields(tt.args)...)
			if r.status != tt.status {
				t.Errorf("status %d, want %d", r.status, tt.status)
			}
			if !strings.HasPrefix(r.stdout, tt.stdout) || tt.stdout == "" && r.stdout != "" {
				t.Errorf("stdout:\n%s", r.stdout)
			}
			if !strings.HasPrefix(r.stderr, tt.stderr) || tt.stderr == "" && r.stderr != "" {
				t.Errorf("stderr:\n%s\nwant\n%s", r.stderr, tt.stderr)
			}
		})
	}
}
