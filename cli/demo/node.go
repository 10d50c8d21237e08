package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/internal/workload"
)

// NodeJob is what a node process has to do.
type NodeJob struct {
	Connect string   `json:"connect"` // the service's URI; -: none
	Topics  []string `json:"topics"`  // with D
}

// noAddress is said of a service that nodes don't connect to: there is a broker.
const noAddress = "-"

// awaitTimeout is how long a node may need to connect and subscribe.
const awaitTimeout = 15 * time.Second

// node keeps the objects of its topics.
type node struct {
	out *sender

	mu      sync.Mutex // guards what follows
	objects *objects
	events  uint64
	resyncs uint64
	stale   uint64
	lag     Histogram // since the last message
	total   Histogram // before that
}

// RunNode is the node process: it subscribes with opts to what the parent says
// on in, and tells it on out what it holds.
func RunNode(ctx context.Context, in io.Reader, out io.Writer, opts wyvern.SubscriberOptions) error {
	ctx, commands := receiveCommands(ctx, in)
	first, err := firstCommand(ctx, commands, doNode)
	if err != nil {
		return err
	}
	n := &node{out: newSender(out), objects: newObjects()}
	opts.Handler = n.handle
	opts.Topics = first.Node.Topics
	if first.Node.Connect != noAddress {
		opts.Connect = []string{first.Node.Connect}
	}
	s, err := wyvern.OpenSubscriber(ctx, opts)
	if err != nil {
		return err
	}
	return errors.Join(orphaned(ctx, n.run(ctx, commands, s, first.Node.Connect)), s.Close())
}

func (n *node) run(ctx context.Context, commands <-chan Command, s *wyvern.Subscriber, connect string) error {
	await, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	// A driver that can't tell has confirmed already.
	if err := s.Await(await); err != nil && !errors.Is(err, wyvern.ErrNotSupported) {
		if connect != noAddress {
			err = fmt.Errorf("no connection to %s in %v: can another process of this machine reach that?", connect, awaitTimeout)
		}
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := n.tell(KindReady); err != nil {
		return err
	}
	stats := time.NewTicker(statsInterval)
	defer stats.Stop()
	for {
		select {
		case c := <-commands:
			if err := n.tell(map[string]string{doReport: kindReport, doList: kindList}[c.Do]); err != nil {
				return err
			}
		case <-stats.C:
			if err := n.tell(KindStats); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Done():
			return errors.New("the subscriber has ended")
		}
	}
}

// handle applies an event: the highest version of an object wins.
func (n *node) handle(_ context.Context, e wyvern.Event) error {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Action == wyvern.ActionSync {
		n.noticeLocked(e)
		return nil
	}
	n.events++
	if at, ok := stamped(e.Value); ok {
		n.lag.add(now.Sub(at))
	}
	if !n.objects.put(Object{
		Topic: e.Topic, Table: e.Table, Key: e.Key, Version: e.Version,
		Sum: sum(e.Table, e.Key, e.Version, e.Value), Deleted: e.Action == workload.Delete,
	}) {
		n.stale++
	}
	return nil
}

// tell sends the parent a message with the counters.
func (n *node) tell(kind string) error {
	m := Message{Kind: kind}
	n.mu.Lock()
	n.total.merge(n.lag)
	m.Stats = Stats{
		Events:  n.events,
		Objects: n.objects.live(),
		Resyncs: n.resyncs,
		Stale:   n.stale,
		Lag:     n.lag.quantiles(),
	}
	n.lag = n.lag[:0]
	switch kind {
	case kindReport:
		m.Digests = maps.Clone(n.objects.digests)
		m.Stats.Total = append(Histogram(nil), n.total...)
	case kindList:
		m.Objects = n.objects.list()
	}
	n.mu.Unlock()
	return n.out.send(m)
}

// noticeLocked counts what the node was told that it may have missed. That a
// subscription or a publisher is new to it goes without saying: nothing is
// published before all nodes are there.
func (n *node) noticeLocked(e wyvern.Event) {
	if e.Reason != wyvern.ReasonSubscribed && e.Reason != wyvern.ReasonIncarnation {
		n.resyncs++
	}
}
