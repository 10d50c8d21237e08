package zmq

import (
	"context"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

var harnesses = []struct {
	name string
	h    drivertest.Harness
}{
	{"Network", drivertest.Harness{Driver: Network{}}},
	{"NetworkOverUnix", drivertest.Harness{
		Driver: &numbered{},
		Config: func(t testing.TB) driver.Config {
			return driver.Config{Transport: "ipc", BindAddress: filepath.Join(shortDir(t), "s")}
		},
		URI: func(p driver.Publisher) string { return uri(p) },
	}},
	{"IPC", drivertest.Harness{Driver: IPC{}, Hop: driver.IPC}},
}

// numbered is Network with another port, and so another socket, for each
// publisher.
type numbered struct {
	Network
	port atomic.Int64
}

func (d *numbered) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	cfg.Port = int(d.port.Add(1))
	return d.Network.OpenPublisher(ctx, cfg)
}

func TestConformance(t *testing.T) {
	for _, c := range harnesses {
		t.Run(c.name, func(t *testing.T) { drivertest.Run(t, c.h) })
	}
}

func BenchmarkConformance(b *testing.B) {
	for _, c := range harnesses {
		b.Run(c.name, func(b *testing.B) { drivertest.Benchmark(b, c.h) })
	}
}

// uri is where a bound half is reached.
func uri(half any) string { return addrURI(half.(driver.Bound).Addr()) }

func addrURI(a net.Addr) string {
	if a.Network() == "unix" {
		return "ipc://" + a.String()
	}
	return "tcp://" + a.String()
}
