package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

func config(testing.TB) driver.Config {
	return driver.Config{BindAddress: "127.0.0.1", ReconnectMax: time.Second}
}

var harness = drivertest.Harness{Driver: embedded.Driver{}, Config: config}

func TestConformance(t *testing.T)   { drivertest.Run(t, harness) }
func TestFaults(t *testing.T)        { drivertest.RunFaults(t, harness, nil) }
func TestNotice(t *testing.T)        { drivertest.RunNotice(t, harness) }
func BenchmarkEmbedded(b *testing.B) { drivertest.Benchmark(b, harness) }

// poll waits until done. What it waits for is told by nobody.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Three services form a cluster by their routes. A node that knows all of them
// gets each event once, and one that knows one gets those of all.
func TestThreeServices(t *testing.T) {
	drivertest.CheckLeaks(t)
	routes := []string{freeport.Address(t), freeport.Address(t), freeport.Address(t)}
	var pubs []*wyvern.Publisher
	var uris []string
	for i, listen := range routes {
		cfg := config(t)
		cfg.Params = map[string]string{
			"cluster_name": "test", "cluster_listen": listen, "routes": strings.Join(slices.Delete(slices.Clone(routes), i, i+1), ","),
		}
		p, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{Driver: embedded.Driver{}, Config: cfg, ID: fmt.Sprint("service-", i)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pubs = append(pubs, p)
		uris = append(uris, "tcp://"+p.Addr().String())
	}
	type node struct {
		*wyvern.Subscriber
		mu  sync.Mutex
		got map[string]int
	}
	open := func(uris ...string) *node {
		n := &node{got: map[string]int{}}
		var err error
		n.Subscriber, err = wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
			Driver: embedded.Driver{}, Config: config(t), Topics: []string{"T"}, Connect: uris,
			Handler: func(_ context.Context, e wyvern.Event) error {
				n.mu.Lock()
				defer n.mu.Unlock()
				if e.Action != wyvern.ActionSync {
					n.got[e.Key]++
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	count := func(n *node, key string) int {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.got[key]
	}
	all, one := open(uris...), open(uris[1])
	defer all.Close()
	defer one.Close()
	send := func(p *wyvern.Publisher, key string) {
		t.Helper()
		if err := p.Publish(t.Context(), wyvern.Event{Table: "t", Key: key, Action: wyvern.ActionSet, Topic: "T"}); err != nil {
			t.Fatal(err)
		}
	}
	// The servers find each other, and learn who is subscribed where, in their
	// own time.
	probes := 0
	poll(t, "the cluster", func() bool {
		probes++
		joined := true
		for i, p := range pubs {
			send(p, fmt.Sprint("probe ", i))
			joined = joined && count(one, fmt.Sprint("probe ", i)) > 0 && all.Stats().Duplicates > uint64(probes)
		}
		return joined
	})
	before := all.Stats().Duplicates
	const events = 100
	for i := range events {
		for k, p := range pubs {
			send(p, fmt.Sprint(k, "/", i))
		}
	}
	for _, p := range pubs {
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
	}
	for i := range events {
		for k := range pubs {
			key := fmt.Sprint(k, "/", i)
			poll(t, key, func() bool { return count(all, key) > 0 && count(one, key) > 0 })
		}
	}
	for name, n := range map[string]*node{"all": all, "one": one} {
		for i := range events {
			for k := range pubs {
				if got := count(n, fmt.Sprint(k, "/", i)); got != 1 {
					t.Errorf("who knows %s got event %d of service %d %d times", name, i, k, got)
				}
			}
		}
	}
	if all.Stats().Duplicates == before {
		t.Error("nothing came twice: the services are no cluster")
	}
}

func TestOpenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name       string
		edit       func(*driver.Config)
		want, hint string
	}{
		{"port in use", func(c *driver.Config) { c.Port = taken.Addr().(*net.TCPAddr).Port }, "address already in use", "another port"},
		{"transport", func(c *driver.Config) { c.Transport = "epgm" }, "unknown transport epgm", "tcp only"},
		{"cluster address", func(c *driver.Config) {
			c.Params = map[string]string{"cluster_name": "c", "cluster_listen": "nowhere"}
		}, `cluster address "nowhere"`, "host:port"},
		{"route", func(c *driver.Config) {
			c.Params = map[string]string{"cluster_name": "c", "cluster_listen": "127.0.0.1:0", "routes": "nowhere"}
		}, `route "nowhere"`, "host:port"},
		{"routes without a cluster", func(c *driver.Config) { c.Params = map[string]string{"routes": "a:1"} }, "without the name of a cluster", ""},
		{"JetStream without a directory", func(c *driver.Config) { c.Params = map[string]string{"jetstream": "true"} }, "no directory", ""},
		{"TLS without a certificate", func(c *driver.Config) { c.Params = map[string]string{"tls": "true"} }, "without a certificate", "tls_cert"},
		{"unknown parameter", func(c *driver.Config) { c.Params = map[string]string{"x": "y"} }, `unknown parameter "x"`, "parameters: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			cfg := config(t)
			c.edit(&cfg)
			pub, err := embedded.Driver{}.OpenPublisher(t.Context(), cfg)
			if err == nil {
				pub.Close()
				t.Fatal("it was opened")
			}
			var h *driver.HintError
			if errors.As(err, &h); !strings.Contains(err.Error(), c.want) || c.hint != "" && (h == nil || !strings.Contains(h.Hint, c.hint)) {
				t.Errorf("got %q, hint %+v; want %q and %q", err, h, c.want, c.hint)
			}
		})
	}
}

// Clients have to log in as the publisher's configuration says.
func TestLogin(t *testing.T) {
	drivertest.CheckLeaks(t)
	cfg := config(t)
	cfg.Params = map[string]string{"user": "u", "password": "right"}
	pub, err := embedded.Driver{}.OpenPublisher(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	await := func(password string) error {
		cfg.Params = map[string]string{"user": "u", "password": password}
		sub, err := embedded.Driver{}.OpenSubscriber(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if err := sub.(driver.Connector).Connect("tcp://" + pub.(driver.Bound).Addr().String()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return sub.(driver.Awaiter).Await(ctx)
	}
	if err := await("right"); err != nil {
		t.Errorf("got %v", err)
	}
	if err := await("wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
}

func TestStartServer(t *testing.T) {
	drivertest.CheckLeaks(t)
	a := slices.IndexFunc(driver.Aliases(), func(a driver.Alias) bool { return a.Name == "nats_embedded" })
	s, ok := driver.Aliases()[a].Network.Driver.(driver.Starter)
	if !ok {
		t.Fatal("the driver of nats_embedded starts no server")
	}
	servers, stop, err := s.StartServer(t.Context(), filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"nats", "nats_jetstream"} {
		d, err := driver.Lookup(alias, driver.Network, driver.Publishes|driver.Subscribes)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := d.OpenPublisher(t.Context(), driver.Config{Servers: servers})
		if err != nil {
			t.Fatal(err)
		}
		pub.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A publisher that is gone, or was never there, stops no subscription.
func TestSubscribeWithoutOnePublisher(t *testing.T) {
	drivertest.CheckLeaks(t)
	open := func() driver.Publisher {
		pub, err := embedded.Driver{}.OpenPublisher(t.Context(), config(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pub.Close() })
		return pub
	}
	uri := func(p driver.Publisher) string { return "tcp://" + p.(driver.Bound).Addr().String() }
	stays, goes := open(), open()
	sub, err := embedded.Driver{}.OpenSubscriber(t.Context(), config(t))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, u := range []string{uri(stays), uri(goes)} {
		if err := sub.(driver.Connector).Connect(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.(driver.Awaiter).Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sub.(driver.Connector).Connect("tcp://" + freeport.Address(t)); err != nil {
		t.Fatal(err)
	}
	goes.Close()
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := sub.Subscribe(ctx, fmt.Sprint("topic ", i)); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
		cancel()
	}
	if _, err := stays.Publish(t.Context(), []driver.Message{{Topic: []byte("topic 19"), Payload: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	got := make([]driver.Message, 1)
	if _, err := sub.Receive(t.Context(), got); err != nil || string(got[0].Topic) != "topic 19" {
		t.Errorf("got %+v, %v", got, err)
	}
}
