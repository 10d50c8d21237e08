package redisserver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

const slots = 16384

// Cluster is a Redis Cluster.
type Cluster struct {
	Nodes []*Server // masters first, as of the beginning

	t testing.TB
}

// StartCluster starts masters, among which the slots are divided evenly, and
// replicas, of the first masters. A node is taken for dead after five seconds.
func StartCluster(t testing.TB, masters, replicas int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters + replicas {
		s := prepare(t, "redis-server", append([]string{
			"--save", "", "--appendonly", "no", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", "5000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
			"--cluster-port", port(freeport.Address(t)),
		}, args...)...)
		s.Run()
		c.Nodes = append(c.Nodes, s)
	}
	bus := func(s *Server) string {
		for i, a := range s.args {
			if a == "--cluster-port" {
				return s.args[i+1]
			}
		}
		return ""
	}
	first := c.Nodes[0]
	for i, s := range c.Nodes {
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			s.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		}
	}
	for _, s := range c.Nodes[1:] {
		s.Do("CLUSTER", "MEET", "127.0.0.1", port(first.Addr), bus(first))
	}
	for i, s := range c.Nodes[masters:] {
		of := c.ID(c.Nodes[i])
		s.Wait("its master", func() bool {
			_, err := s.Try("CLUSTER", "REPLICATE", of)
			return err == nil
		})
	}
	c.AwaitWorking(c.Nodes...)
	return c
}

// AwaitWorking waits until nodes know of all nodes and say that the cluster works.
func (c *Cluster) AwaitWorking(nodes ...*Server) {
	c.t.Helper()
	for _, s := range nodes {
		s.Wait("the cluster", func() bool {
			v, _ := s.Try("CLUSTER", "INFO")
			text := fmt.Sprint(v)
			return strings.Contains(text, "cluster_state:ok") && strings.Contains(text, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) &&
				s.linked(len(c.Nodes))
		})
	}
	for _, s := range nodes {
		s.Wait("its master's data", func() bool {
			return s.Info("role") == "master" || s.Info("master_link_status") == "up"
		})
	}
}

// linked tells whether a node is connected to all others, so that it passes on
// what is published.
func (s *Server) linked(nodes int) bool {
	v, _ := s.Try("CLUSTER", "NODES")
	n := 0
	for line := range strings.Lines(fmt.Sprint(v)) {
		if f := strings.Fields(line); len(f) > 7 && f[7] == "connected" && !strings.Contains(f[2], "handshake") {
			n++
		}
	}
	return n == nodes
}

// ID returns a node's id.
func (c *Cluster) ID(s *Server) string { return fmt.Sprint(s.Do("CLUSTER", "MYID")) }

// Addrs returns where the nodes are.
func (c *Cluster) Addrs() []string {
	var list []string
	for _, s := range c.Nodes {
		list = append(list, s.Addr)
	}
	return list
}

// Owner returns the node that has a slot.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	for _, asked := range c.Nodes {
		v, err := asked.Try("CLUSTER", "SLOTS")
		if err != nil {
			continue
		}
		list, _ := v.([]any)
		for _, r := range list {
			f := r.([]any)
			if int64(slot) < f[0].(int64) || int64(slot) > f[1].(int64) {
				continue
			}
			n := f[2].([]any)
			for _, s := range c.Nodes {
				if port(s.Addr) == strconv.FormatInt(n[1].(int64), 10) {
					return s
				}
			}
		}
	}
	c.t.Fatalf("no node has slot %d", slot)
	return nil
}

// Move moves a slot to another node, as resharding does, with what is in it.
// during, if not nil, is called while the slot is on its way.
func (c *Cluster) Move(slot int, to *Server, during func()) {
	c.t.Helper()
	from := c.Owner(slot)
	if from == to {
		c.t.Fatalf("slot %d is there already", slot)
	}
	fromID, toID := c.ID(from), c.ID(to)
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	if during != nil {
		during()
	}
	for {
		keys := from.Do("CLUSTER", "GETKEYSINSLOT", slot, 100).([]any)
		if len(keys) == 0 {
			break
		}
		for _, key := range keys {
			from.Do("MIGRATE", "127.0.0.1", port(to.Addr), key, 0, 5000)
		}
	}
	if during != nil {
		during()
	}
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", toID)
	for _, s := range c.Nodes {
		if s != from && s != to {
			_, _ = s.Try("CLUSTER", "SETSLOT", slot, "NODE", toID) // a replica won't; gossip tells it
		}
	}
}

// Kill kills a master and waits until its replica has taken over.
func (c *Cluster) Kill(master *Server) {
	c.t.Helper()
	id := c.ID(master)
	master.Kill()
	for _, s := range c.Nodes {
		if s == master {
			continue
		}
		s.Wait("a fail-over", func() bool {
			v, _ := s.Try("CLUSTER", "NODES")
			for line := range strings.Lines(fmt.Sprint(v)) {
				if f := strings.Fields(line); len(f) > 2 && f[0] == id && len(f) <= 8 && strings.Contains(f[2], "fail") {
					info, _ := s.Try("CLUSTER", "INFO")
					return strings.Contains(fmt.Sprint(info), "cluster_state:ok")
				}
			}
			return false
		})
	}
}
