package zmq

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func TestParseURI(t *testing.T) {
	long := strings.Repeat("x", maxPath+1)
	for _, c := range []struct{ uri, want, err string }{
		{"tcp://127.0.0.1:8866", "tcp://127.0.0.1:8866", ""},
		{"tcp://host.example:08866", "tcp://host.example:8866", ""},
		{"tcp://[::1]:1", "tcp://[::1]:1", ""},
		{"tcp://[fe80::1%eth0]:65535", "tcp://[fe80::1%eth0]:65535", ""},
		{"ipc:///run/w/s", "ipc:///run/w/s", ""},
		{"", "", "no transport"},
		{"127.0.0.1:8866", "", "no transport"},
		{"tcp://", "", "not tcp://host:port"},
		{"tcp://host", "", "not tcp://host:port"},
		{"tcp://:8866", "", "not tcp://host:port"},
		{"tcp://host:", "", "not tcp://host:port"},
		{"tcp://::1:8866", "", "not tcp://host:port"},
		{"tcp://host:8866/path", "", "port is not in"},
		{"tcp://host/x:8866", "", "not tcp://host:port"},
		{"tcp://user@host:8866", "", "not tcp://host:port"},
		{"tcp://*:8866", "", "can be bound"},
		{"tcp://host:0", "", "port is not in"},
		{"tcp://host:65536", "", "port is not in"},
		{"tcp://host:-1", "", "port is not in"},
		{"tcp://host:http", "", "port is not in"},
		{"ipc://", "", "no path"},
		{"ipc://@abstract", "", "abstract"},
		{"ipc://a\x00b", "", "zero byte"},
		{"ipc://" + long, "", fmt.Sprint(maxPath+1, " bytes long")},
		{"ipc:///", "", "directory"},
		{"epgm://host:1", "", `"epgm" is not supported`},
	} {
		e, err := parseURI(c.uri)
		switch {
		case c.err == "" && (err != nil || e.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.uri, e, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: %v, error %v, want %q", c.uri, e, err, c.err)
		}
	}
}

// wantRefusal checks an error and its hint.
func wantRefusal(t *testing.T, what string, err error, text, hint string) {
	t.Helper()
	var h *driver.HintError
	switch {
	case err == nil || !strings.Contains(err.Error(), text):
		t.Errorf("%s: error %v, want %q", what, err, text)
	case hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint, hint)):
		t.Errorf("%s: error %v without the hint %q", what, err, hint)
	}
}

func TestBindErrors(t *testing.T) {
	ctx := begin(t)
	dir := shortDir(t)
	if err := os.WriteFile(dir+"/file:0", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/dir:0", 0o700); err != nil {
		t.Fatal(err)
	}
	l := listen(t, "tcp", "127.0.0.1:0")
	taken := l.Addr().(*net.TCPAddr).Port
	owner := "another process"
	if runtime.GOOS == "linux" {
		owner = fmt.Sprintf("(process %d)", os.Getpid())
	}
	for _, c := range []struct {
		name             string
		cfg              driver.Config
		text, hint, only string
	}{
		{"transport", driver.Config{Transport: "pgm"}, `"pgm" is not supported`, "tcp, ipc", ""},
		{"port in use", driver.Config{BindAddress: "127.0.0.1", Port: taken}, owner, "publisher_port", ""},
		{"bad port", driver.Config{Port: 65536}, "0..65535", "", ""},
		{"negative port", driver.Config{Port: -1}, "0..65535", "", ""},
		{"foreign address", driver.Config{BindAddress: "192.0.2.1"}, "listen on", "address of this host", ""},
		{"ipc without a path", driver.Config{Transport: "ipc"}, "needs a path", "publisher_bind_address", ""},
		{"ipc too long", driver.Config{Transport: "ipc", BindAddress: "/" + strings.Repeat("x", maxPath)}, "bytes long", "shorter", ""},
		{"ipc directory", driver.Config{Transport: "ipc", BindAddress: dir + "/dir"}, "is a directory", "", ""},
		{"ipc not a socket", driver.Config{Transport: "ipc", BindAddress: dir + "/file"}, "not a socket", "remove it", ""},
		{"unknown option", driver.Config{Params: map[string]string{"hwm": "1"}}, "unknown option hwm", "", ""},
	} {
		p, err := Network{}.OpenPublisher(ctx, c.cfg)
		if err == nil {
			p.Close()
		}
		wantRefusal(t, c.name, err, c.text, c.hint)
	}
	for name, socket := range map[string]string{"no path": "", "abstract": "@x", "bytes long": strings.Repeat("x", maxPath+1), "is a directory": dir} {
		_, err := IPC{}.OpenPublisher(ctx, driver.Config{Socket: socket})
		wantRefusal(t, "push", err, name, "")
		_, err = IPC{}.OpenSubscriber(ctx, driver.Config{Socket: socket})
		wantRefusal(t, "pull", err, name, "")
	}
	if _, err := os.Stat(dir + "/file:0"); err != nil {
		t.Errorf("what is no socket was removed: %v", err)
	}
}

func TestBindIPv6(t *testing.T) {
	ctx := begin(t)
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		l.Close()
	}
	for _, address := range []string{"::1", "[::1]"} {
		pub := openPub(t, ctx, func(c *driver.Config) { c.BindAddress = address })
		sub := openSub(t, ctx)
		meet(t, ctx, sub, uri(pub), "T")
		publish(t, ctx, pub, "T", "x")
		wantMessages(t, receive(t, ctx, sub, 1), "T x")
	}
}

func TestRegistered(t *testing.T) {
	const both = driver.Publishes | driver.Subscribes
	for _, c := range []struct {
		alias string
		hop   driver.Hop
		roles driver.Roles
	}{
		{"zmq", driver.Network, both},
		{"zmq", driver.IPC, both},
		{"zmq_pubsub_driver", driver.Network, both},
		{"zmq_pubsub_driver", driver.IPC, driver.Publishes},
		{"zmq_bind_pubsub_driver", driver.Network, driver.Publishes},
		{"zmq_bind_pubsub_driver", driver.IPC, driver.Subscribes},
		{"zmq_pubsub_multiproc_driver", driver.Network, 0},
		{"zmq_pubsub_multiproc_driver", driver.IPC, both},
	} {
		for _, role := range []driver.Roles{driver.Publishes, driver.Subscribes} {
			_, err := driver.Lookup(c.alias, c.hop, role)
			if got, want := err == nil, c.roles&role != 0; got != want {
				t.Errorf("%s as %s %s: %v, want %v", c.alias, c.hop, role, err, want)
			}
		}
	}
}
