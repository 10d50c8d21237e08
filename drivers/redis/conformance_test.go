package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/redis"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

// places counts prefixes, so that each case has streams of its own.
var places atomic.Int64

// harness runs a suite on servers that are there already.
func harness(streams bool, mode string, servers ...string) drivertest.Harness {
	return drivertest.Harness{
		Driver: redis.Driver{Streams: streams},
		Config: func(testing.TB) driver.Config { return config(mode, servers...) },
	}
}

// beside is for a suite that runs beside others.
func beside(h drivertest.Harness) drivertest.Harness {
	h.Parallel = true
	return h
}

func config(mode string, servers ...string) driver.Config {
	prefix := fmt.Sprintf("place-%d*:", places.Add(1))
	return driver.Config{
		Servers: servers, ReconnectMax: time.Second, HandshakeTimeout: 5 * time.Second,
		ResyncSpread: 100 * time.Millisecond, // what is told once is waited for in most cases
		Params:       map[string]string{"mode": mode, "stream_prefix": prefix, "channel_prefix": prefix},
	}
}

func TestPubSub(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(false, "standalone", redisserver.Start(t).Addr)))
}

func TestStreams(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(true, "standalone", redisserver.Start(t).Addr)))
}

func TestPubSubSentinel(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(false, "sentinel", redisserver.StartReplicated(t).Addrs()...)))
}

func TestStreamsSentinel(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(true, "sentinel", redisserver.StartReplicated(t).Addrs()...)))
}

func TestPubSubCluster(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(false, "cluster", redisserver.StartCluster(t, 3, 0).Addrs()...)))
}

func TestStreamsCluster(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, beside(harness(true, "cluster", redisserver.StartCluster(t, 3, 0).Addrs()...)))
}

func BenchmarkPubSub(b *testing.B) {
	drivertest.Benchmark(b, harness(false, "standalone", redisserver.Start(b).Addr))
}

func BenchmarkStreams(b *testing.B) {
	drivertest.Benchmark(b, harness(true, "standalone", redisserver.Start(b).Addr))
}
