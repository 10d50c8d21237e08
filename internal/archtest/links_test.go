package archtest

import (
	"os/exec"
	"strings"
	"testing"
)

// brokers are the modules of brokers, by the driver that they belong to.
var brokers = map[string][]string{
	"nats":  {"github.com/nats-io/"},
	"redis": {"github.com/redis/"},
	"etcd":  {"go.etcd.io/", "google.golang.org/grpc"},
}

// Whoever imports a package links what that needs, and no client of a broker
// that it has nothing to do with.
func TestBrokersStayWithTheirDrivers(t *testing.T) {
	for _, c := range []struct {
		pkg, tags string
		brokers   string // those that it may link
	}{
		{".", "", ""},
		{"./driver", "", ""},
		{"./drivertest", "", ""},
		{"./config", "", ""},
		{"./service", "", ""},
		{"./cli", "", ""},
		{"./drivers/mem", "", ""},
		{"./drivers/zmq", "", ""},
		{"./drivers/nats", "", "nats"},
		{"./drivers/redis", "", "redis"},
		{"./drivers/etcd", "", "etcd"},
		{"./cmd/wyvern", "no_nats,no_redis,no_etcd", ""},
		{"./cmd/wyvern", "no_nats,no_redis", "etcd"},
		{"./cmd/wyvern", "no_redis,no_etcd", "nats"},
		{"./cmd/wyvern", "no_nats,no_etcd", "redis"},
		{"./cmd/wyvern", "", "nats redis etcd"},
	} {
		linked := linkedBy(t, c.pkg, c.tags)
		for broker, prefixes := range brokers {
			found := ""
			for _, pkg := range linked {
				for _, prefix := range prefixes {
					if strings.HasPrefix(pkg, prefix) {
						found = pkg
					}
				}
			}
			if may := strings.Contains(c.brokers, broker); (found != "") != may {
				t.Errorf("%s with tags %q: links %q of %s, may: %t", c.pkg, c.tags, found, broker, may)
			}
		}
	}
}

// The server is for who asks for it.
func TestNATSServerIsApart(t *testing.T) {
	for pkg, may := range map[string]bool{"./drivers/nats": false, "./drivers/nats/embedded": true} {
		linked := strings.Join(linkedBy(t, pkg, ""), "\n")
		if got := strings.Contains(linked, "github.com/nats-io/nats-server/"); got != may {
			t.Errorf("%s links the server: %t, want %t", pkg, got, may)
		}
	}
}

// linkedBy returns the packages that a package needs, itself included.
func linkedBy(t *testing.T, pkg, tags string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, pkg)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("list what %s links: %v\n%s", pkg, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
