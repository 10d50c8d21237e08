package etcd_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// pause is what a fault lasts.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// behind starts a proxy before a server.
func behind(t testing.TB, s *etcdserver.Server) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"}, proxy.Endpoint{Network: "tcp", Address: s.Address()}, proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// revision returns that of the database.
func revision(t testing.TB, c *clientv3.Client) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := c.Get(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

// shortly gives f a client that is gone afterwards, for the sake of those who
// look for what is left.
func shortly(t testing.TB, s *etcdserver.Server, f func(c *clientv3.Client)) {
	t.Helper()
	c := s.Client(nil)
	defer c.Close()
	f(c)
}

// compact makes the history begin at the present revision.
func compact(t testing.TB, c *clientv3.Client) {
	t.Helper()
	compactTo(t, c, revision(t, c))
}

func compactTo(t testing.TB, c *clientv3.Client, revision int64) {
	t.Helper()
	if _, err := c.Compact(t.Context(), revision); err != nil {
		t.Fatalf("compact: %v", err)
	}
}

// seen is how long after it was written nobody who is connected needs an event
// any more. What is compacted earlier may be of a watch that is being made.
const seen = time.Second

// space activates or disarms the alarm of a database that is full.
func space(t testing.TB, s *etcdserver.Server, action pb.AlarmRequest_AlarmAction) {
	t.Helper()
	shortly(t, s, func(c *clientv3.Client) {
		status, err := c.Status(t.Context(), s.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		request := &pb.AlarmRequest{Action: action, MemberID: status.Header.MemberId, Alarm: pb.AlarmType_NOSPACE}
		if _, err := pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Put(t.Context(), "elsewhere", "x"); (err != nil) != (action == pb.AlarmRequest_ACTIVATE) {
			t.Errorf("a write after %v: %v", action, err)
		}
	})
}

func TestN8Faults(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	p := behind(t, s)
	// In order through the proxy, which has to be healed before the next one.
	drivertest.RunFaults(t, harness(p.Addr().String()), []drivertest.Fault{
		{Name: "Cut", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			if p.Cut() == 0 {
				t.Error("no connection was cut")
			}
		}},
		{Name: "Reset", Strike: func(t testing.TB, _ driver.Config) {
			if p.Reset() == 0 {
				t.Error("no connection was reset")
			}
		}},
		{Name: "BlackHole", Strike: func(t testing.TB, _ driver.Config) {
			before := p.Counts()
			p.Apply(proxy.Both, proxy.Rule{Hold: true})
			pause(t, 5*time.Second)
			p.Heal()
			if p.Counts().Minus(before).Withheld == 0 {
				t.Error("nothing was withheld")
			}
		}},
		{Name: "Deaf", Strike: func(t testing.TB, _ driver.Config) {
			before := p.Counts()
			p.Apply(proxy.Down, proxy.Rule{Hold: true})
			pause(t, 2*time.Second)
			p.Heal()
			if p.Counts().Minus(before).Withheld == 0 {
				t.Error("nothing was withheld")
			}
		}},
		{Name: "Restarted", Strike: func(t testing.TB, _ driver.Config) {
			s.Stop()
			s.Restart()
		}},
		{Name: "Killed", Strike: func(t testing.TB, _ driver.Config) {
			s.Kill()
			s.Restart()
		}},
		{Name: "AwayFor10s", Strike: func(t testing.TB, _ driver.Config) {
			s.Kill()
			pause(t, 10*time.Second)
			s.Restart()
		}},
		{Name: "CompactedWhileCutOff", Strike: func(t testing.TB, _ driver.Config) {
			p.Apply(proxy.Down, proxy.Rule{Hold: true})
			pause(t, time.Second)
			shortly(t, s, func(c *clientv3.Client) {
				before := revision(t, c)
				for i := range 50 {
					if _, err := c.Put(t.Context(), "elsewhere", fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				}
				compact(t, c)
				if revision(t, c) < before+50 {
					t.Error("the history did not go on")
				}
			})
			p.Heal()
		}},
		{Name: "Defragmented", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			shortly(t, s, func(c *clientv3.Client) {
				if _, err := c.Defragment(t.Context(), s.Endpoint()); err != nil {
					t.Errorf("defragment: %v", err)
				}
			})
		}},
		{Name: "NoSpace", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			space(t, s, pb.AlarmRequest_ACTIVATE)
			pause(t, time.Second)
			space(t, s, pb.AlarmRequest_DEACTIVATE)
		}},
		{Name: "CompactedAllTheTime", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			const often = 10 // in the time until an event is seen
			shortly(t, s, func(c *clientv3.Client) {
				var past []int64
				compacted := 0
				for i := range 3 * often {
					past = append(past, revision(t, c))
					if n := i - often; n > 0 && past[n] > past[n-1] {
						compactTo(t, c, past[n])
						compacted++
					}
					pause(t, seen/often)
				}
				if compacted < often {
					t.Errorf("compacted %d times, want %d at least", compacted, often)
				}
			})
		}},
		{Name: "Compacted", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			shortly(t, s, func(c *clientv3.Client) {
				past := revision(t, c)
				pause(t, seen)
				compactTo(t, c, past)
			})
		}},
	})
}

func TestN8ClusterFaults(t *testing.T) {
	c := etcdserver.StartCluster(t, etcdserver.Options{Process: true})
	var proxies []*proxy.Proxy
	var addresses []string
	for _, s := range c.Members {
		p := behind(t, s)
		proxies, addresses = append(proxies, p), append(addresses, p.Addr().String())
	}
	drivertest.RunFaults(t, harness(addresses...), []drivertest.Fault{
		{Name: "LeaderKilled", Strike: func(t testing.TB, _ driver.Config) {
			old := c.Leader()
			old.Kill()
			if now := c.Leader(); now == old {
				t.Error("the leader was not killed")
			}
			old.Restart()
		}},
		{Name: "NoQuorum", Strike: func(t testing.TB, _ driver.Config) {
			for _, s := range c.Members[1:] {
				s.Kill()
			}
			pause(t, 3*time.Second)
			for _, s := range c.Members[1:] {
				s.Restart()
			}
		}},
		{Name: "MemberBlackHoled", Strike: func(t testing.TB, _ driver.Config) {
			for _, p := range proxies {
				before := p.Counts()
				p.Apply(proxy.Both, proxy.Rule{Hold: true})
				pause(t, 2*time.Second)
				p.Heal()
				if p.Counts().Minus(before).Withheld == 0 {
					t.Error("nothing was withheld")
				}
			}
		}},
	})
}

// A server that restarts has forgotten who is logged in, and a change of rights
// makes every log-in invalid.
func TestN8AuthFaults(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true, TokenTTL: time.Second})
	enableAuth(t, s)
	h := harness(s.Endpoint())
	h.Config = func(testing.TB) driver.Config {
		cfg := with(s.Endpoint(), "user", "user", "password", "right")
		cfg.ReconnectMax = time.Second
		return cfg
	}
	root := func(c *clientv3.Config) { c.Username, c.Password = "root", "root" }
	drivertest.RunFaults(t, h, []drivertest.Fault{
		{Name: "LogInsForgotten", Strike: func(t testing.TB, _ driver.Config) {
			s.Kill()
			s.Restart()
		}},
		{Name: "RightsChanged", Resumes: true, Strike: func(t testing.TB, _ driver.Config) {
			c := s.Client(root)
			defer c.Close()
			for i := range 5 {
				if _, err := c.RoleAdd(t.Context(), fmt.Sprint("role ", i)); err != nil {
					t.Error(err)
				}
			}
		}},
	})
}
