package nats_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// broker is a server that can be stopped and started again at its place.
type broker struct {
	o embedded.Options

	mu sync.Mutex
	s  *embedded.Server
}

func newBroker(t testing.TB, o embedded.Options) *broker {
	t.Helper()
	if o.JetStream && o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	o.MaxPayload = 2 << 20
	b := &broker{o: o}
	b.start(t)
	t.Cleanup(b.stop)
	b.o.Port = b.s.Addr().(*net.TCPAddr).Port
	if a := b.s.ClusterAddr(); a != nil {
		b.o.ClusterListen = a.String()
	}
	return b
}

func (b *broker) start(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	if b.s, err = embedded.Start(t.Context(), b.o); err != nil {
		t.Fatalf("start a server: %v", err)
	}
}

func (b *broker) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.s != nil {
		b.s.Shutdown()
		b.s = nil
	}
}

// proxied puts a proxy before a server and returns the URL to use.
func proxied(t testing.TB, server string) (*proxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"}, proxy.Endpoint{Network: "tcp", Address: u.Host}, proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, "nats://" + p.Addr().String()
}

// cluster starts three servers that know one another.
func cluster(t testing.TB, o embedded.Options) []*broker {
	t.Helper()
	o.Cluster = "test"
	for range 3 {
		o.Routes = append(o.Routes, freeport.Address(t))
	}
	var list []*broker
	for i, listen := range o.Routes {
		one := o
		one.Name, one.ClusterListen = fmt.Sprint("server-", i), listen
		if o.JetStream {
			one.StoreDir = t.TempDir()
		}
		list = append(list, newBroker(t, one))
	}
	for _, b := range list {
		poll(t, "the cluster", func() bool { return b.s.Peers() == len(list)-1 })
	}
	if o.JetStream {
		nc, err := client.Connect(list[0].s.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		poll(t, "a leader of JetStream", func() bool {
			_, err := nc.Request("$JS.API.STREAM.NAMES", nil, 200*time.Millisecond)
			return err == nil
		})
	}
	return list
}

// poll waits until done. What it waits for is told by nobody.
func poll(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const serverEnv = "WYVERN_NATS_SERVER"

// TestServerProcess is a server in a process of its own, that can be killed.
func TestServerProcess(t *testing.T) {
	place := os.Getenv(serverEnv)
	if place == "" {
		return // only in the processes that others start
	}
	var port int
	dir := ""
	if _, err := fmt.Sscanf(place, "%d %s", &port, &dir); err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Start(t.Context(), embedded.Options{Port: port, JetStream: true, StoreDir: dir, MaxPayload: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	fmt.Printf("ready %s\n", s.URL())
	os.Stdin.Read(make([]byte, 1)) // until whoever started it ends
}

// process is such a server.
type process struct {
	dir  string
	port int
	url  string
	cmd  *exec.Cmd
}

func newProcess(t testing.TB) *process {
	t.Helper()
	p := &process{dir: t.TempDir()}
	p.start(t)
	t.Cleanup(p.kill)
	return p
}

func (p *process) start(t testing.TB) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(exe, "-test.run=^TestServerProcess$")
	p.cmd.Env = append(os.Environ(), serverEnv+"="+fmt.Sprintf("%d %s", p.port, p.dir))
	p.cmd.Stderr = os.Stderr
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("the server said %q, %v", line, err)
	}
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	fmt.Sscanf(p.url[strings.LastIndexByte(p.url, ':')+1:], "%d", &p.port)
}

// kill ends it without a word.
func (p *process) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

// places counts what no two tests may share.
var places atomic.Int64

// at is a configuration on servers, with a prefix and a stream of its own.
func at(servers ...string) driver.Config {
	n := places.Add(1)
	return driver.Config{
		Servers: servers, ReconnectMax: time.Second, HandshakeTimeout: 5 * time.Second,
		Params: map[string]string{"prefix": fmt.Sprint("p", n), "stream": fmt.Sprint("s", n)},
	}
}
