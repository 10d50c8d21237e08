//go:build linux

package campaign

import (
	"encoding/json"
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

// node is a node process and its proxies, one to each service.
type node struct {
	part
	sys     *system
	index   int
	proxies []*proxy.Proxy
}

func (s *system) newNode(i int) (*node, error) {
	n := &node{part: part{name: s.name("n", i)}, sys: s, index: i}
	for _, svc := range s.services {
		p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
			proxy.Endpoint{Network: "tcp", Address: svc.address}, proxy.Options{ZMTP: true})
		if err != nil {
			return nil, err
		}
		n.proxies = append(n.proxies, p)
	}
	return n, nil
}

func (n *node) start() error {
	name := n.next()
	var uris []string
	for _, p := range n.proxies {
		uris = append(uris, "tcp://"+p.Addr().String())
	}
	cfg := actor.NodeConfig{
		Name: name, Node: n.name, Connect: [][]string{uris},
		Topics: n.sys.shape.Fixed, Pool: n.sys.shape.Pool, Churn: n.sys.shape.Churn, Some: n.sys.shape.Some,
		ReconnectMax: reconnectMax, HandshakeTimeout: handshakeTimeout,
		Seed: n.sys.seed + 1<<48 + uint64(n.index)<<32 + uint64(n.count),
	}
	arg, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	p, err := n.sys.spawn(name, n.name, n.sys.programs.Self, "node", string(arg))
	if err != nil {
		return err
	}
	n.set(p)
	return nil
}

// kill kills the process and notes when that was.
func (n *node) kill() bool {
	p := n.present()
	at := actor.Now()
	ok := p.kill()
	n.sys.journal.add(validator.Record{Kind: validator.KindKilled, At: int64(at), Session: p.name})
	return ok
}

func (n *node) close() {
	n.part.close()
	for _, p := range n.proxies {
		p.Close()
	}
}

// link names what is between a node and a service, as in a fault's On.
func (n *node) link(svc *service) string { return n.name + "/" + svc.id }
