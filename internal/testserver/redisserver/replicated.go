package redisserver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// MasterName is what Sentinels call the master.
const MasterName = "mymaster"

// Replicated is a master, a replica, and three Sentinels that watch them.
type Replicated struct {
	Servers   [2]*Server // the first one was the master in the beginning
	Sentinels []*Server

	t testing.TB
}

// StartReplicated starts them. Sentinels take a master for dead after half a
// second, and see to a server that has come back as soon.
func StartReplicated(t testing.TB, args ...string) *Replicated {
	t.Helper()
	r := &Replicated{t: t}
	fast := append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, args...)
	r.Servers[0] = Start(t, fast...)
	r.Servers[1] = Start(t, append(fast, "--replicaof", "127.0.0.1", port(r.Servers[0].Addr))...)
	r.AwaitReplica()
	for range 3 {
		s := prepare(t, "redis-sentinel")
		file := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile %s\nsentinel monitor %s 127.0.0.1 %s 2\n"+
			"sentinel down-after-milliseconds %[4]s 500\nsentinel failover-timeout %[4]s 4000\n",
			port(s.Addr), s.dir, s.log, MasterName, port(r.Servers[0].Addr))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = []string{file}
		s.Run()
		s.hurry()
		r.Sentinels = append(r.Sentinels, s)
	}
	for _, s := range r.Sentinels {
		s.Wait("the other Sentinels and the replica", func() bool {
			m := s.master()
			return m["num-other-sentinels"] == "2" && m["num-slaves"] == "1" && m["flags"] == "master"
		})
	}
	return r
}

// hurry shortens the periods of a Sentinel. By the defaults it asks a server what
// it is every ten seconds, and waits eight before it makes an old master that
// has come back a replica.
func (s *Server) hurry() {
	s.t.Helper()
	s.Do("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "ASK-PERIOD", 200, "PUBLISH-PERIOD", 250, "PING-PERIOD", 200, "MIN-LINK-RECONNECT-PERIOD", 1000)
}

// master returns what a Sentinel knows of the master.
func (s *Server) master() map[string]string {
	v, _ := s.Try("SENTINEL", "MASTER", MasterName)
	m := map[string]string{}
	list, _ := v.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return m
}

// Addrs returns where the Sentinels are.
func (r *Replicated) Addrs() []string {
	var list []string
	for _, s := range r.Sentinels {
		list = append(list, s.Addr)
	}
	return list
}

// Master returns the server that most Sentinels take for the master, and the
// other one.
func (r *Replicated) Master() (master, other *Server) {
	votes := 0
	for _, s := range r.Sentinels {
		m := s.master()
		if m["ip"]+":"+m["port"] == r.Servers[1].Addr {
			votes++
		}
	}
	if 2*votes > len(r.Sentinels) {
		return r.Servers[1], r.Servers[0]
	}
	return r.Servers[0], r.Servers[1]
}

// AwaitReplica waits until one server replicates the other.
func (r *Replicated) AwaitReplica() {
	r.t.Helper()
	r.Servers[1].Wait("the replica", func() bool {
		return r.Servers[0].Info("master_link_status") == "up" || r.Servers[1].Info("master_link_status") == "up"
	})
}

// AwaitFailover waits until Sentinels have made another server the master.
func (r *Replicated) AwaitFailover(old *Server) {
	r.t.Helper()
	r.Sentinels[0].Wait("a fail-over", func() bool {
		now, _ := r.Master()
		return now != old && now.Info("role") == "master"
	})
}
