package nats_test

import (
	"testing"

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

// newPlace is a configuration on a server, at a place of its own.
func newPlace(s *embedded.Server) driver.Config { return at(s.URL()) }

// harness has a server for each case: what JetStream runs for a stream counts
// as left behind otherwise.
func harness(o embedded.Options, d nats.Driver) drivertest.Harness {
	return drivertest.Harness{Driver: d, Config: func(t testing.TB) driver.Config { return newPlace(start(t, o)) }}
}

func TestPlain(t *testing.T) { suite(t, embedded.Options{}, nats.Driver{}) }

func TestJetStream(t *testing.T) {
	suite(t, embedded.Options{JetStream: true}, nats.Driver{JetStream: true})
}

// suite runs one beside the other.
func suite(t *testing.T, o embedded.Options, d nats.Driver) {
	t.Parallel()
	h := harness(o, d)
	h.Parallel = true
	drivertest.Run(t, h)
}

func BenchmarkPlain(b *testing.B)     { benchmark(b, nats.Driver{}) }
func BenchmarkJetStream(b *testing.B) { benchmark(b, nats.Driver{JetStream: true}) }

// benchmark has the server in a process of its own, as it usually is.
func benchmark(b *testing.B, d nats.Driver) {
	p := newProcess(b)
	drivertest.Benchmark(b, drivertest.Harness{Driver: d, Config: func(testing.TB) driver.Config { return at(p.url) }})
}
