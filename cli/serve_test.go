package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A service says when and where it is ready, and drains at SIGTERM or SIGINT.
func TestServe(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			site := newSite(t)
			p := start(t, nil, site.args("serve")...)
			want := fmt.Sprintf("wyvern: ready: network %s, ipc %s", site.uri, site.socket)
			if got := p.stderr.await(t, "wyvern: ready"); got != want {
				t.Errorf("got %q\nwant %q", got, want)
			}
			p.signal(t, s)
			if r := p.wait(t); r.status != 0 || r.stdout != "" {
				t.Errorf("status %d, stdout %q\n%s", r.status, r.stdout, r.stderr)
			}
			if _, err := os.Stat(site.socket); err == nil {
				t.Error("the socket is still there")
			}
		})
	}
}

// A second service on the port or the socket is refused, with its owner named.
func TestServeSecond(t *testing.T) {
	site := newSite(t)
	first := site.serve(t)
	for name, more := range map[string][]string{
		"port":   {"--set", "df_zmq.ipc_socket=" + site.socket + "2"},
		"socket": {"--set", "df.publisher_port=0"},
	} {
		r := run(t, "", site.args("serve", more...)...)
		if r.status != 1 || !strings.Contains(r.stderr, "in use by") || !strings.Contains(r.stderr, "\nhint: ") ||
			!strings.Contains(r.stderr, fmt.Sprintf("process %d", first.cmd.Process.Pid)) {
			t.Errorf("%s: status %d\n%s", name, r.status, r.stderr)
		}
	}
	first.end(t)
}

// A service that was killed leaves nothing that keeps the next from starting.
func TestServeKilled(t *testing.T) {
	site := newSite(t)
	first := site.serve(t)
	first.signal(t, syscall.SIGKILL)
	first.wait(t)
	site.serve(t).end(t)
}

func TestServeRefuses(t *testing.T) {
	site := newSite(t)
	for set, want := range map[string]string{
		"df.pub_sub_driver=zmq_pubsub_multiproc_driver": `can't be the network publisher` + "\nhint: aliases for the network publisher: ",
		"df.pub_sub_driver=nonsense":                    `unknown driver alias "nonsense"` + "\nhint: aliases for the network publisher: ",
		"df.pub_sub_multiproc_driver=zmq_pubsub_driver": `can't be the ipc subscriber` + "\nhint: aliases for the ipc subscriber: ",
		"df.publisher_transport=epgm":                   `"epgm" is not supported` + "\nhint: supported transports: ",
		"df_zmq.ipc_socket=" + site.dir:                 "is a directory\nhint: ",
	} {
		r := run(t, "", site.args("serve", "--set", set)...)
		if r.status != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: status %d\n%s\nwant %s", set, r.status, r.stderr, want)
		}
	}
}

// systemd hears when the service is ready, and when it stops.
func TestServeNotify(t *testing.T) {
	site := newSite(t)
	path := filepath.Join(site.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(atMost))
	p := startWith(t, []string{"NOTIFY_SOCKET=" + path}, nil, site.args("serve")...)
	read := func() string {
		b := make([]byte, 1024)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if got := read(); got != "READY=1" {
		t.Errorf("got %q", got)
	}
	p.signal(t, syscall.SIGTERM)
	if got := read(); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
	if r := p.wait(t); r.status != 0 {
		t.Errorf("status %d\n%s", r.status, r.stderr)
	}
}

// The log has the level and the format of the configuration, and its warnings.
func TestServeLog(t *testing.T) {
	site := newSite(t, "log_format = json", "[df_zmq]", "ipc_socket = other")
	p := start(t, nil, site.args("serve", "--set", "df_zmq.ipc_socket="+site.socket+"2")...)
	line := p.stderr.await(t, "publisher_multiproc_socket")
	if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"level":"WARN"`) {
		t.Errorf("warning: %s", line)
	}
	p.stderr.await(t, "wyvern: ready: ")
	p.end(t)
	p = site.serve(t, "--set", "wyvern.log_level=error", "--set", "df_zmq.ipc_socket="+site.socket)
	p.signal(t, syscall.SIGTERM)
	if r := p.wait(t); strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("more than the ready line:\n%s", r.stderr)
	}
}

// What a worker has handed over is delivered even if the service is told to
// stop right then.
func TestServeDrains(t *testing.T) {
	const n = 5000
	site := newSite(t)
	p := site.serve(t)
	sub := site.subscribe(t, "--count", fmt.Sprint(n), "--timeout", "15s")
	var events strings.Builder
	for i := range n {
		fmt.Fprintf(&events, `{"table":"lport","key":"%d","action":"set","value":"%s","topic":"D"}`+"\n", i, strings.Repeat("x", 500))
	}
	if r := run(t, events.String(), site.args("pub", "--from", "-")...); r.status != 0 {
		t.Fatalf("pub: %s", r.stderr)
	}
	p.end(t)
	if r := sub.wait(t); r.status != 0 {
		t.Errorf("sub: status %d\n%.2000s", r.status, r.stderr)
	}
}
