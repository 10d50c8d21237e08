package etcd_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/etcd"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

func TestMain(m *testing.M) {
	etcdserver.Main()
	drivertest.Main(m)
}

var prefixes atomic.Int64

// site is for halves that meet at servers, below a prefix of their own.
func site(servers ...string) driver.Config {
	return driver.Config{
		Servers: servers,
		Params:  map[string]string{"prefix": fmt.Sprintf("/test/%d/", prefixes.Add(1))},
		// A test waits for every delay.
		ReconnectMin: 20 * time.Millisecond, ReconnectMax: time.Second,
	}
}

// harness is for servers.
func harness(servers ...string) drivertest.Harness {
	return drivertest.Harness{
		Driver: etcd.Driver{},
		Config: func(testing.TB) driver.Config { return site(servers...) },
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	h := harness(s.Endpoint())
	h.Parallel = true
	drivertest.Run(t, h)
}

func TestNotice(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	drivertest.RunNotice(t, harness(s.Endpoint()))
}

func BenchmarkNetwork(b *testing.B) {
	s := etcdserver.Start(b, etcdserver.Options{Process: true})
	drivertest.Benchmark(b, harness(s.Endpoint()))
}
