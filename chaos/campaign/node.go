//go:build linux

package campaign

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// What nodes of campaigns are told, so that they are back soon after a fault.
const (
	reconnectMax     = 500 * time.Millisecond
	handshakeTimeout = 2 * time.Second
)

// node is a node process and its proxies: each group of its sessions has one to
// each service.
type node struct {
	part
	sys    *system
	index  int
	groups [][]*proxy.Proxy
	twins  []*proxy.Proxy // by which the services are reached as well
}

func (s *system) newNode(i int) (*node, error) {
	n := &node{part: part{name: s.name("n", i)}, sys: s, index: i}
	for range s.shape.Groups {
		var group []*proxy.Proxy
		for _, svc := range s.services {
			p, err := link(svc)
			if err != nil {
				return nil, err
			}
			group = append(group, p)
		}
		n.groups = append(n.groups, group)
	}
	for _, svc := range s.services {
		if !s.shape.Twice {
			break
		}
		p, err := link(svc)
		if err != nil {
			return nil, err
		}
		n.twins = append(n.twins, p)
	}
	return n, nil
}

func (n *node) start() error {
	name := n.next()
	shape := &n.sys.shape
	cfg := actor.NodeConfig{
		Name: name, Node: n.name, Sessions: shape.Sessions,
		Topics: shape.held(n.quiet()), Pool: shape.Pool, Churn: shape.Churn, Some: shape.Some,
		Seed: n.sys.seed + 1<<48 + uint64(n.index)<<32 + uint64(n.count),
	}
	if !shape.Defaults {
		cfg.ReconnectMax, cfg.HandshakeTimeout = reconnectMax, handshakeTimeout
	}
	for _, group := range n.groups {
		var uris []string
		for _, p := range slices.Concat(group, n.twins) {
			uris = append(uris, "tcp://"+p.Addr().String())
		}
		cfg.Connect = append(cfg.Connect, uris)
	}
	arg, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	program, args := n.sys.programs.Self, []string{"node", string(arg)}
	if shape.Foreign {
		program, args = n.sys.programs.Python, []string{n.sys.nodePy, string(arg)}
	}
	p, err := n.sys.spawn(name, n.name, program, args...)
	if err != nil {
		return err
	}
	n.set(p)
	return nil
}

// quiet is a topic that only this node holds, and on which nobody publishes
// unasked.
func (n *node) quiet() string { return "quiet-" + n.name }

// kill kills the process and notes when that was.
func (n *node) kill() bool {
	p := n.present()
	at := actor.Now()
	ok := p.kill()
	cfg := actor.NodeConfig{Name: p.name, Sessions: n.sys.shape.Sessions}
	for _, session := range cfg.SessionNames() {
		n.sys.journal.add(validator.Record{Kind: validator.KindKilled, At: int64(at), Session: session})
	}
	return ok
}

func (n *node) close() {
	n.part.close()
	for _, p := range slices.Concat(n.proxies(), n.twins) {
		p.Close()
	}
}

// proxies returns those of all groups, to all services.
func (n *node) proxies() []*proxy.Proxy { return slices.Concat(n.groups...) }

// links names what is between a group of sessions and a service, as in a fault's
// On.
func (n *node) links(group int, svc *service) []string {
	cfg := actor.NodeConfig{Node: n.name, Sessions: n.sys.shape.Sessions}
	var names []string
	for i, name := range cfg.NodeNames() {
		if i%len(n.groups) == group {
			names = append(names, name+"/"+svc.id)
		}
	}
	return names
}
