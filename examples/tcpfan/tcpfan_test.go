package tcpfan

import (
	"sync"
	"testing"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

var harness = drivertest.Harness{Driver: Driver{}, Hop: driver.Network}

func TestConformance(t *testing.T) { drivertest.Run(t, harness) }

func BenchmarkDriver(b *testing.B) { drivertest.Benchmark(b, harness) }

// Connections are cut while events flow.
func TestFaults(t *testing.T) {
	var mu sync.Mutex
	var between []*proxy.Proxy // of the present case
	var end func(f func())     // with it
	h := harness
	h.Config = func(t testing.TB) driver.Config {
		between, end = nil, t.Cleanup
		return driver.Config{BindAddress: "127.0.0.1"}
	}
	h.URI = func(p driver.Publisher) string {
		way, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
			proxy.Endpoint{Network: "tcp", Address: p.(driver.Bound).Addr().String()}, proxy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		end(func() { way.Close() })
		mu.Lock()
		defer mu.Unlock()
		between = append(between, way)
		return "tcp://" + way.Addr().String()
	}
	drivertest.RunFaults(t, h, []drivertest.Fault{{
		Name: "ConnectionsCut",
		Strike: func(t testing.TB, _ driver.Config) {
			mu.Lock()
			defer mu.Unlock()
			cut := 0
			for _, way := range between {
				cut += way.Cut()
			}
			if cut == 0 {
				t.Error("there was no connection to cut")
			}
		},
	}})
}

func TestNotice(t *testing.T) { drivertest.RunNotice(t, harness) }
