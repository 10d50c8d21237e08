package zmq

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

// Faults that every driver has to survive; the others of this one have tests of
// their own.
func TestFaults(t *testing.T) {
	var between []*proxy.Proxy // of the present case
	var end func(f func())     // with it
	h := drivertest.Harness{
		Driver: Network{},
		Config: func(t testing.TB) driver.Config {
			between, end = nil, t.Cleanup
			return driver.Config{BindAddress: "127.0.0.1"}
		},
		URI: func(p driver.Publisher) string {
			way, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
				proxy.Endpoint{Network: "tcp", Address: p.(driver.Bound).Addr().String()}, proxy.Options{ZMTP: true})
			if err != nil {
				t.Fatal(err)
			}
			end(func() { way.Close() })
			between = append(between, way)
			return addrURI(way.Addr())
		},
	}
	each := func(t testing.TB, do func(*proxy.Proxy) int) {
		struck := 0
		for _, way := range between {
			struck += do(way)
		}
		if struck == 0 {
			t.Error("there was nothing to strike")
		}
	}
	drivertest.RunFaults(t, h, []drivertest.Fault{
		{Name: "ConnectionsCut", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			each(t, (*proxy.Proxy).Cut)
		}},
		{Name: "ConnectionsReset", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			each(t, (*proxy.Proxy).Reset)
		}},
	})
}

func TestNotice(t *testing.T) { drivertest.RunNotice(t, drivertest.Harness{Driver: Network{}}) }
