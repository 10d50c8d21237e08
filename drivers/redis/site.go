package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
)

// site is the servers that belong together, and knows which of them to go to.
// Any goroutine may use it.
type site struct {
	dialer
	log lograte.Limiter

	mu    sync.Mutex
	known []string // nodes of the cluster, besides those configured
}

func newSite(cfg driver.Config) (*site, error) {
	cfg = cfg.WithDefaults()
	o, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	return &site{dialer: dialer{options: o, cfg: cfg}}, nil
}

// warn logs at a bounded rate.
func (s *site) warn(what string, args ...any) { s.log.Warn(s.cfg.Log, what, args...) }

// seat opens a line to the server that everything goes through: the one, the
// master, or any node of a cluster that works. master says that a replica won't
// do.
func (s *site) seat(ctx context.Context, master bool) (*line, error) {
	switch s.mode {
	case sentinel:
		return s.seatBySentinels(ctx)
	case cluster:
		return s.seatInCluster(ctx, "")
	}
	l, err := s.open(ctx, s.addrs[0], s.server)
	if err != nil {
		return nil, err
	}
	switch {
	case l.mode == sentinel:
		err = driver.WithHint(fmt.Errorf("%s: that is a Sentinel, and mode is standalone", l.addr), "set mode to sentinel")
	case l.mode == cluster:
		err = driver.WithHint(fmt.Errorf("%s: that is a node of a cluster, and mode is standalone", l.addr), "set mode to cluster")
	case master && l.role == "replica":
		err = driver.WithHint(fmt.Errorf("%s: %w", l.addr, errReplica), "name its master, or set mode to sentinel and name the Sentinels")
	default:
		return l, nil
	}
	l.close()
	return nil, err
}

func (s *site) seatBySentinels(ctx context.Context) (*line, error) {
	addr, err := s.masterAddr(ctx)
	if err != nil {
		return nil, err
	}
	l, err := s.open(ctx, addr, s.server)
	if err != nil {
		return nil, err
	}
	if l.role != "master" {
		l.close()
		return nil, fmt.Errorf("%s, which Sentinels take for the master: %w", addr, errReplica)
	}
	return l, nil
}

// masterAddr asks all Sentinels where the master is. Of what they say the
// newest counts: one that is cut off may have missed a fail-over.
func (s *site) masterAddr(ctx context.Context) (string, error) {
	type opinion struct {
		addr  string
		epoch int64
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HeartbeatTimeout)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	opinions := make(chan opinion, len(s.addrs))
	for _, addr := range s.addrs {
		asking.Go(func() {
			var o opinion
			o.addr, o.epoch, o.err = s.askSentinel(ctx, addr)
			opinions <- o
		})
	}
	best := opinion{epoch: -1}
	var errs []error
	for range s.addrs {
		o := <-opinions
		if o.err != nil {
			errs = append(errs, o.err)
			continue
		}
		if best.addr == "" {
			// One that doesn't answer is not waited for as long.
			late := time.AfterFunc(s.cfg.HeartbeatTimeout/10, cancel)
			defer late.Stop()
		}
		if o.epoch > best.epoch {
			best = o
		}
	}
	if best.addr == "" {
		return "", errors.Join(errs...)
	}
	return best.addr, nil
}

// askSentinel asks one Sentinel where the master is, and how new that is.
func (s *site) askSentinel(ctx context.Context, addr string) (master string, epoch int64, err error) {
	l, err := s.open(ctx, addr, s.sentinel)
	if err != nil {
		return "", 0, err
	}
	defer l.close()
	if l.mode != sentinel {
		return "", 0, driver.WithHint(fmt.Errorf("%s: that is no Sentinel, and mode is sentinel", addr),
			"name the Sentinels, whose port is 26379 as a rule, or set mode to "+l.mode)
	}
	v, err := l.do(ctx, "SENTINEL", "MASTER", s.master)
	if err != nil {
		if text, ok := answered(err); ok && strings.Contains(text, "No such master") {
			err = driver.WithHint(fmt.Errorf("%s: no master is called %q", addr, s.master),
				"set sentinel_master to the name in the Sentinels' configuration")
		}
		return "", 0, err
	}
	f := pairs(v)
	epoch, _ = strconv.ParseInt(f["config-epoch"], 10, 64)
	if f["ip"] == "" || f["port"] == "" {
		return "", 0, fmt.Errorf("%s: the Sentinel does not say where the master is", addr)
	}
	return net.JoinHostPort(f["ip"], f["port"]), epoch, nil
}

// pairs turns a list of names and values into a map.
func pairs(v any) map[string]string {
	list, _ := v.([]any)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		m[name], _ = list[i+1].(string)
	}
	return m
}

// seatInCluster opens a line to a node of the cluster, chosen at random among
// those that say that the cluster works and, if there are none, among the
// others; but not to the one to avoid.
func (s *site) seatInCluster(ctx context.Context, avoid string) (*line, error) {
	var second *line
	var errs []error
	for _, addr := range s.candidates() {
		if addr == avoid {
			continue
		}
		l, err := s.open(ctx, addr, s.server)
		if err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		ok, err := s.works(ctx, l)
		switch {
		case err != nil:
			l.close()
			errs = append(errs, err)
		case ok:
			if second != nil {
				second.close()
			}
			return l, nil
		case second == nil:
			second = l
		default:
			l.close()
		}
	}
	if second != nil {
		return second, nil
	}
	if errs == nil {
		return nil, errors.New("no other node is known")
	}
	return nil, errors.Join(errs...)
}

// candidates are the nodes of the cluster that are known, in random order.
func (s *site) candidates() []string {
	s.mu.Lock()
	list := append([]string(nil), s.addrs...)
	for _, addr := range s.known {
		if !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	s.mu.Unlock()
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	return list
}

// works asks a node whether the cluster works, as it sees it, and who else
// belongs to it.
func (s *site) works(ctx context.Context, l *line) (bool, error) {
	if l.mode != cluster {
		hint := "name nodes of a cluster, or set mode to " + l.mode
		return false, driver.WithHint(fmt.Errorf("%s: cluster support is disabled there, and mode is cluster", l.addr), hint)
	}
	ok, err := s.state(ctx, l)
	if err != nil {
		return false, err
	}
	if _, err := s.owners(ctx, l); err != nil {
		return false, err
	}
	return ok, nil
}

// state asks a node whether the cluster works.
func (s *site) state(ctx context.Context, l *line) (bool, error) {
	v, err := l.do(ctx, "CLUSTER", "INFO")
	if err != nil {
		return false, s.explain(l.addr, err)
	}
	l.checked = time.Now()
	text, _ := v.(string)
	return workingState(text), nil
}

func workingState(info string) bool { return strings.Contains(info, "cluster_state:ok") }

// owners asks a node which ones have the slots of the buckets, and remembers
// all that it names. A bucket without an owner has "".
func (s *site) owners(ctx context.Context, l *line) (routes [buckets]string, err error) {
	v, err := l.do(ctx, "CLUSTER", "SLOTS")
	if err != nil {
		return routes, s.explain(l.addr, err)
	}
	ranges, _ := v.([]any)
	var nodes []string
	for _, r := range ranges {
		f, _ := r.([]any)
		if len(f) < 3 {
			continue
		}
		first, _ := f[0].(int64)
		last, _ := f[1].(int64)
		for i, n := range f[2:] {
			addr := nodeAddr(n, l.addr)
			if addr == "" {
				continue
			}
			if !slices.Contains(nodes, addr) {
				nodes = append(nodes, addr)
			}
			for b, slot := range bucketSlots {
				if i == 0 && int64(slot) >= first && int64(slot) <= last {
					routes[b] = addr
				}
			}
		}
	}
	s.mu.Lock()
	s.known = nodes
	s.mu.Unlock()
	return routes, nil
}

// nodeAddr returns the address of a node in the answer to CLUSTER SLOTS. A node
// that doesn't know its own says nothing: it is the one that was asked.
func nodeAddr(v any, asked string) string {
	f, _ := v.([]any)
	if len(f) < 2 {
		return ""
	}
	host, _ := f[0].(string)
	port, _ := f[1].(int64)
	if host == "?" {
		return ""
	}
	if host == "" {
		host, _, _ = net.SplitHostPort(asked)
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10))
}

// follow calls leave when the server that a half uses, which current returns,
// is no longer the right one, though its connection may be fine: Sentinels
// have made another one the master, or the node is cut off from its cluster
// and another one is not. It blocks until ctx ends.
func (s *site) follow(ctx context.Context, current func() string, leave func(addr string)) {
	if s.mode == standalone {
		return
	}
	ticker := time.NewTicker(s.cfg.HeartbeatTimeout)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		addr := current()
		if addr == "" {
			continue // it is looking for one
		}
		if s.mode == sentinel {
			if master, err := s.masterAddr(ctx); err == nil && master != addr {
				leave(addr)
			}
			continue
		}
		if s.cutOff(ctx, addr) {
			leave(addr)
		}
	}
}

// cutOff tells whether a node is cut off from its cluster, and another one is
// not.
func (s *site) cutOff(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTimeout)
	defer cancel()
	l, err := s.open(ctx, addr, s.server)
	if err != nil {
		return false // the half's own connection tells
	}
	defer l.close()
	if ok, err := s.state(ctx, l); ok || err != nil {
		return false
	}
	other, err := s.seatInCluster(ctx, addr)
	if err != nil {
		return false
	}
	defer other.close()
	ok, err := s.state(ctx, other)
	return ok && err == nil
}
