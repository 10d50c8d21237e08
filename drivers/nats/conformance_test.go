package nats_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

// start starts a server that ends with the test.
func start(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	if o.JetStream && o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	o.MaxPayload = 2 << 20
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// places counts what no two tests may share.
var places atomic.Int64

// config is one on a server, at a place of its own.
func config(s *embedded.Server) driver.Config {
	n := places.Add(1)
	return driver.Config{
		Servers: []string{s.URL()}, ReconnectMax: time.Second, HandshakeTimeout: 5 * time.Second,
		Params: map[string]string{"prefix": fmt.Sprint("p", n), "stream": fmt.Sprint("s", n)},
	}
}

// harness has a server for each case: what JetStream runs for a stream counts
// as left behind otherwise.
func harness(o embedded.Options, d nats.Driver) drivertest.Harness {
	return drivertest.Harness{Driver: d, Config: func(t testing.TB) driver.Config { return config(start(t, o)) }}
}

func TestPlain(t *testing.T) { drivertest.Run(t, harness(embedded.Options{}, nats.Driver{})) }

func TestJetStream(t *testing.T) {
	drivertest.Run(t, harness(embedded.Options{JetStream: true}, nats.Driver{JetStream: true}))
}

func BenchmarkPlain(b *testing.B) {
	drivertest.Benchmark(b, harness(embedded.Options{}, nats.Driver{}))
}

func BenchmarkJetStream(b *testing.B) {
	drivertest.Benchmark(b, harness(embedded.Options{JetStream: true}, nats.Driver{JetStream: true}))
}
