package embedded_test

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

func TestConformance(t *testing.T) { drivertest.Run(t, drivertest.Harness{Driver: embedded.Driver{}}) }

func BenchmarkEmbedded(b *testing.B) {
	drivertest.Benchmark(b, drivertest.Harness{Driver: embedded.Driver{}})
}
