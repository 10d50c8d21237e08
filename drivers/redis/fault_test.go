package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/redis"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

// linger is how long something that is away stays so.
func linger(d time.Duration) { <-time.After(d) }

// restart ends a server, in order or not, and starts it again.
func restart(s *redisserver.Server, end func(), away time.Duration) func(testing.TB, driver.Config) {
	return func(t testing.TB, _ driver.Config) {
		before := s.Pid()
		end()
		linger(away)
		s.Run()
		if s.Pid() == before {
			t.Errorf("it is the same process")
		}
	}
}

// struck counts what a proxy must have done.
func struck(t testing.TB, p *proxy.Proxy, what string, count func(proxy.Counts) int64, strike func()) {
	t.Helper()
	before := count(p.Counts())
	strike()
	if count(p.Counts()) == before {
		t.Errorf("the fault did not strike: nothing was %s", what)
	}
}

// through starts a proxy to a server.
func through(t testing.TB, s *redisserver.Server) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
		proxy.Endpoint{Network: "tcp", Address: s.Addr}, proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// networkFaults are those between us and a server.
func networkFaults(p *proxy.Proxy) []drivertest.Fault {
	return []drivertest.Fault{
		{Name: "Cut", Strike: func(t testing.TB, _ driver.Config) {
			struck(t, p, "reset", func(c proxy.Counts) int64 { return c.Reset }, func() { p.Reset() })
		}},
		{Name: "BlackHole", Strike: func(t testing.TB, _ driver.Config) {
			struck(t, p, "withheld", func(c proxy.Counts) int64 { return c.Withheld }, func() {
				p.Apply(proxy.Both, proxy.Rule{Hold: true})
				linger(5 * time.Second)
				p.Heal()
			})
		}},
	}
}

// rightsTakenAway is a user that may use no topic for a while.
func rightsTakenAway(s *redisserver.Server) drivertest.Fault {
	return drivertest.Fault{Name: "RightsTakenAway", Strike: func(testing.TB, driver.Config) {
		s.Do("ACL", "SETUSER", "default", "resetchannels", "resetkeys")
		linger(time.Second)
		s.Do("ACL", "SETUSER", "default", "allchannels", "allkeys")
	}}
}

func TestN8PubSubFaults(t *testing.T) {
	s := redisserver.Start(t)
	p := through(t, s)
	faults := append(networkFaults(p), rightsTakenAway(s),
		drivertest.Fault{Name: "Restarted", Strike: restart(s, s.Stop, 0)},
		drivertest.Fault{Name: "KilledAndAway", Strike: restart(s, s.Kill, 10*time.Second)},
		drivertest.Fault{Name: "ClientsKilled", Strike: func(t testing.TB, _ driver.Config) {
			if n := s.Do("CLIENT", "KILL", "TYPE", "pubsub"); n == int64(0) {
				t.Errorf("no client was killed")
			}
		}},
	)
	h := harness(false, "standalone", p.Addr().String())
	drivertest.RunFaults(t, h, faults)
}

func TestN8StreamsFaults(t *testing.T) {
	s := redisserver.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	p := through(t, s)
	faults := append(networkFaults(p), rightsTakenAway(s),
		drivertest.Fault{Name: "MemoryFull", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			s.Do("CONFIG", "SET", "maxmemory", "1mb")
			if _, err := s.Try("SET", "x", "y"); err == nil {
				t.Error("the memory is not full")
			}
			linger(time.Second)
			s.Do("CONFIG", "SET", "maxmemory", "0")
		}},
		drivertest.Fault{Name: "RestartedKeeping", Strike: restart(s, s.Stop, 0)},
		drivertest.Fault{Name: "Deleted", Strike: func(t testing.TB, cfg driver.Config) {
			removed(t, s, cfg, func(key string) { s.Do("DEL", key) })
		}},
		drivertest.Fault{Name: "TrimmedToNothing", Strike: func(t testing.TB, cfg driver.Config) {
			removed(t, s, cfg, func(key string) { s.Do("XTRIM", key, "MAXLEN", 0) })
		}},
		drivertest.Fault{Name: "TrimmedPastTheReader", Strike: func(t testing.TB, cfg driver.Config) {
			// Nobody reads meanwhile, and then something is missing.
			p.Apply(proxy.Down, proxy.Rule{Hold: true})
			linger(500 * time.Millisecond)
			removed(t, s, cfg, func(key string) { s.Do("XTRIM", key, "MAXLEN", 1) })
			p.Reset()
			p.Heal()
		}},
		drivertest.Fault{Name: "Flushed", Strike: func(testing.TB, driver.Config) { s.Do("FLUSHALL") }},
	)
	drivertest.RunFaults(t, harness(true, "standalone", p.Addr().String()), faults)
}

// removed does something to all streams of a case.
func removed(t testing.TB, s *redisserver.Server, cfg driver.Config, f func(key string)) {
	t.Helper()
	keys, _ := s.Do("KEYS", strings.ReplaceAll(cfg.Params["stream_prefix"], "*", `\*`)+"*").([]any)
	if len(keys) == 0 {
		t.Errorf("there are no streams")
	}
	for _, key := range keys {
		f(key.(string))
	}
}

// TestN8StreamsForgotten: a server that keeps nothing comes back empty.
func TestN8StreamsForgotten(t *testing.T) {
	s := redisserver.Start(t)
	drivertest.RunFaults(t, harness(true, "standalone", s.Addr), []drivertest.Fault{
		{Name: "KilledAndAway", Strike: restart(s, s.Kill, 3*time.Second)},
	})
}

func sentinelFaults(r *redisserver.Replicated) []drivertest.Fault {
	return []drivertest.Fault{
		{Name: "PlannedFailover", Strike: func(t testing.TB, _ driver.Config) {
			old, _ := r.Master()
			r.Sentinels[0].Do("SENTINEL", "FAILOVER", redisserver.MasterName)
			r.AwaitFailover(old)
		}},
		{Name: "MasterKilled", Strike: func(t testing.TB, _ driver.Config) {
			r.AwaitReplica()
			old, _ := r.Master()
			old.Kill()
			r.AwaitFailover(old)
			old.Run()
		}},
		{Name: "MasterFrozen", Strike: func(t testing.TB, _ driver.Config) {
			r.AwaitReplica()
			old, _ := r.Master()
			old.Pause()
			r.AwaitFailover(old)
			old.Resume()
		}},
	}
}

func TestN8PubSubFailover(t *testing.T) {
	r := redisserver.StartReplicated(t)
	drivertest.RunFaults(t, harness(false, "sentinel", r.Addrs()...), sentinelFaults(r))
}

func TestN8StreamsFailover(t *testing.T) {
	r := redisserver.StartReplicated(t)
	drivertest.RunFaults(t, harness(true, "sentinel", r.Addrs()...), sentinelFaults(r))
}

func clusterFaults(c *redisserver.Cluster) []drivertest.Fault {
	return []drivertest.Fault{
		{Name: "SlotsMoved", Strike: func(t testing.TB, _ driver.Config) {
			for bucket := range 16 {
				slot := redis.BucketSlot(bucket)
				to := c.Nodes[0]
				if c.Owner(slot) == to {
					to = c.Nodes[1]
				}
				c.Move(slot, to, func() { linger(50 * time.Millisecond) })
			}
		}},
		{Name: "MasterKilled", Strike: func(t testing.TB, _ driver.Config) {
			c.Kill(c.Nodes[0])
			c.Nodes[0].Run()
			c.AwaitWorking(c.Nodes...)
		}},
	}
}

func TestN8PubSubClusterFaults(t *testing.T) {
	c := redisserver.StartCluster(t, 3, 1, "--cluster-node-timeout", "1500")
	drivertest.RunFaults(t, harness(false, "cluster", c.Addrs()...), clusterFaults(c))
}

func TestN8StreamsClusterFaults(t *testing.T) {
	c := redisserver.StartCluster(t, 3, 1, "--cluster-node-timeout", "1500")
	drivertest.RunFaults(t, harness(true, "cluster", c.Addrs()...), clusterFaults(c))
}
