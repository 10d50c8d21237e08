//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// network is a network namespace that a test has made, in a user namespace so
// that it takes no privilege: a loopback, whose packets the kernel can be told to
// drop (nftables). It ends with the test. A nil network is that of the machine.
type network struct {
	holder *process
	enter  []string // runs a program in it
}

// The loopback has the packets of an Ethernet, so that a drop is that of one
// segment. The congestion control is one that every kernel has, if a namespace may
// choose: the machine's may be one that takes a loss for something else.
const networkScript = `ip link set lo up mtu 1500 gso_max_segs 1 &&
{ echo reno >/proc/sys/net/ipv4/tcp_congestion_control || true; } 2>&- &&
"$0" 'add table inet faults; add counter inet faults lost; add chain inet faults in { type filter hook input priority 0; }' &&
echo up && exec cat`

// nft is where it is: not everybody has /usr/sbin in the path.
var nft = sync.OnceValue(func() string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if name := filepath.Join(dir, "nft"); exec.Command(name, "--version").Run() == nil {
			return name
		}
	}
	return ""
})

// refusal says why there can be no namespace with a packet filter here; empty:
// there can.
var refusal = sync.OnceValue(func() string {
	out, err := exec.Command("unshare", "-Urn", nft(), "add", "table", "inet", "faults").CombinedOutput()
	if err == nil {
		return ""
	}
	return strings.TrimSpace(string(out) + " (" + err.Error() + ")")
})

// newNetwork makes a network. Where the system does not let it, the test is
// skipped; `make deps` says so too, since go test is silent about that. Where nft is
// missing it fails.
func newNetwork(t testing.TB) *network {
	t.Helper()
	if nft() == "" {
		t.Fatal("there is no nft\nhint: run `make deps`")
	}
	if why := refusal(); why != "" {
		t.Skipf("this system allows no network namespace with a packet filter: %s", why)
	}
	n := &network{holder: start(t, nil, "unshare", "-Urn", "sh", "-c", networkScript, nft())}
	n.holder.stdout.await(t, "up")
	n.enter = []string{"nsenter", "--preserve-credentials", "--user", "--net", "--target", itoa(n.holder.pid())}
	return n
}

// command returns how to run a program in the network.
func (n *network) command(program string, args []string) (string, []string) {
	if n == nil {
		return program, args
	}
	all := append(append(n.enter[1:len(n.enter):len(n.enter)], program), args...)
	return n.enter[0], all
}

// run runs a program in the network to its end and returns its output.
func (n *network) run(t testing.TB, input, program string, args ...string) []byte {
	t.Helper()
	name, args := n.command(program, args)
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = append(out, exit.Stderr...)
		}
		t.Fatalf("%s %s: %v\n%s", program, args, err, out)
	}
	return out
}

// rule tells the kernel what to do with packets.
func (n *network) rule(t testing.TB, script string) {
	t.Helper()
	n.run(t, script, nft(), "-f", "-")
}

// filter replaces what happens to packets on their way in: rules of nftables.
// None: all pass.
func (n *network) filter(t testing.TB, rules ...string) {
	t.Helper()
	script := "flush chain inet faults in\n"
	for _, r := range rules {
		script += "add rule inet faults in " + r + "\n"
	}
	n.rule(t, script)
}

// lose is the end of a rule: the packet is lost, and counted.
const lose = ` counter name "lost" drop`

// lost returns how many packets were so far.
func (n *network) lost(t testing.TB) (packets int) {
	t.Helper()
	var list struct {
		Nftables []struct {
			Counter struct {
				Name    string
				Packets int
			}
		}
	}
	if err := json.Unmarshal(n.run(t, "", nft(), "-j", "list", "counters"), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Nftables {
		if o.Counter.Name == "lost" {
			packets += o.Counter.Packets
		}
	}
	return packets
}
