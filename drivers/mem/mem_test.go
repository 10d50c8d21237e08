package mem_test

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/mem"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

func harness(hop driver.Hop) drivertest.Harness {
	return drivertest.Harness{Driver: mem.Driver{Hub: new(mem.Hub), Hop: hop}, Hop: hop}
}

func TestNetwork(t *testing.T) { drivertest.Run(t, harness(driver.Network)) }
func TestIPC(t *testing.T)     { drivertest.Run(t, harness(driver.IPC)) }

func TestFaults(t *testing.T) { drivertest.RunFaults(t, harness(driver.Network), nil) }

func BenchmarkNetwork(b *testing.B) { drivertest.Benchmark(b, harness(driver.Network)) }
func BenchmarkIPC(b *testing.B)     { drivertest.Benchmark(b, harness(driver.IPC)) }
