//go:build linux

package e2e

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

// brokers are the aliases of drivers that have a broker, each with what starts
// one and returns how a configuration names it.
var brokers = []struct {
	alias string
	start func(t *testing.T) (option string)
}{
	{"nats", startNATS},
	{"nats_jetstream", startNATS},
	{"redis", startRedis},
	{"redis_db_pubsub_driver", startRedis},
	{"redis_streams", startRedis},
	{"etcd", startEtcd},
	{"etcd_pubsub_driver", startEtcd},
}

func startNATS(t *testing.T) string {
	s, err := embedded.Start(t.Context(), embedded.Options{JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return "wyvern_nats.servers=" + s.URL()
}

func startRedis(t *testing.T) string {
	// As Dragonflow's configuration says where the database is.
	return "df.remote_db_hosts=" + redisserver.Start(t).Addr
}

func startEtcd(t *testing.T) string {
	return "df.remote_db_hosts=" + etcdserver.Start(t, etcdserver.Options{Process: true}).Address()
}

// The program runs on every broker by its alias alone: a worker's events reach a
// node through the service, and without one.
func TestBrokers(t *testing.T) {
	for _, b := range brokers {
		t.Run(b.alias, func(t *testing.T) {
			site := newSite(t)
			flags := []string{"--config-file", site.file, "--set", "df.pub_sub_driver=" + b.alias, "--set", b.start(t)}
			serve := start(t, nil, checked, append([]string{"serve"}, flags...)...)
			if line := serve.stderr.await(t, "wyvern: ready: "); !strings.Contains(line, "network by "+b.alias+", ipc ") {
				t.Errorf("ready line %q", line)
			}
			sub := start(t, nil, checked, append([]string{"sub", "--topic", "T"}, flags...)...)
			publish := func(key string, more ...string) {
				t.Helper()
				args := append([]string{"pub", "--topic", "T", "--table", "lport", "--key", key, "--action", "set"}, more...)
				if status, _, stderr := wyvernRun(t, append(args, flags...)...); status != 0 {
					t.Fatalf("pub: status %d\n%s", status, stderr)
				}
			}
			// Nothing tells when sub holds its topic: publish until it has one.
			until(t, "an event arrives", func() bool {
				publish("first")
				_, ok, _, _ := sub.stdout.find(0, `"key":"first"`)
				return ok
			})
			publish("by the service")
			publish("direct", "--direct")
			epochs := map[uint64]bool{}
			for _, key := range []string{"by the service", "direct"} {
				var e struct {
					Topic      string
					Epoch, Seq uint64
				}
				if err := json.Unmarshal([]byte(sub.stdout.await(t, `"key":"`+key+`"`)), &e); err != nil {
					t.Fatal(err)
				}
				if e.Topic != "T" || e.Epoch == 0 || e.Seq == 0 {
					t.Errorf("event %q: %+v", key, e)
				}
				epochs[e.Epoch] = true
			}
			if len(epochs) != 2 {
				t.Errorf("%d publishers, want the service and another", len(epochs))
			}
			sub.signal(t, syscall.SIGTERM)
			sub.wait(t)
			serve.signal(t, syscall.SIGTERM)
			if status := serve.wait(t); status != 0 {
				t.Errorf("serve: exit status %d after SIGTERM", status)
			}
		})
	}
}

// A whole system on a broker: processes, a realistic load, a verdict.
func TestBrokersDemo(t *testing.T) {
	for _, b := range brokers {
		if strings.Contains(b.alias, "db_pubsub") || strings.Contains(b.alias, "etcd_") {
			continue // another name of the same
		}
		t.Run(b.alias, func(t *testing.T) {
			status, stdout, stderr := wyvernRun(t, "demo", "--driver", b.alias, "--set", b.start(t),
				"--workers", "2", "--nodes", "3", "--duration", "5s", "--rate", "200")
			if status != 0 || !strings.Contains(stdout, "verdict: converged: 3 of 3 nodes") {
				t.Errorf("status %d\n%s\n%s", status, stdout, stderr)
			}
		})
	}
	// With nothing installed, and nothing configured.
	for _, alias := range []string{"nats", "nats_jetstream", "nats_embedded"} {
		t.Run(alias+" alone", func(t *testing.T) {
			status, stdout, stderr := wyvernRun(t, "demo", "--driver", alias, "--workers", "2", "--nodes", "3", "--duration", "5s")
			if status != 0 || !strings.Contains(stdout, "verdict: converged: 3 of 3 nodes") {
				t.Errorf("status %d\n%s\n%s", status, stdout, stderr)
			}
		})
	}
}

// What is wrong is said at the start, with what to look at.
func TestBrokersUnreachable(t *testing.T) {
	for _, b := range brokers {
		t.Run(b.alias, func(t *testing.T) {
			nobody := "127.0.0.1:1"
			set := "df.remote_db_hosts=" + nobody
			if strings.HasPrefix(b.alias, "nats") {
				set = "wyvern_nats.servers=nats://" + nobody
			}
			status, _, stderr := wyvernRun(t, "serve", "--config-file", newSite(t).file,
				"--set", "df.pub_sub_driver="+b.alias, "--set", set)
			if status != 1 || !strings.Contains(stderr, nobody) || !strings.Contains(stderr, "hint: ") {
				t.Errorf("status %d\n%s", status, stderr)
			}
		})
	}
}
