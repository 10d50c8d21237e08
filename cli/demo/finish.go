package demo

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// stopWorkers returns what all of them published, and how many events that
// were.
func (d *demo) stopWorkers(ctx context.Context) (*objects, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	d.screen.say("workers are told to stop")
	for _, w := range d.workers {
		w.expectEnd()
		if err := w.send(Command{Do: doStop}); err != nil {
			return nil, 0, err
		}
	}
	published, events := newObjects(), uint64(0)
	for _, w := range d.workers {
		m, err := w.await(ctx, kindReport)
		if err != nil {
			return nil, 0, err
		}
		events += m.Stats.Events
		for _, o := range m.Objects {
			published.put(o)
		}
		if err := w.awaitEnd(ctx); err != nil {
			return nil, 0, err
		}
	}
	return published, events, nil
}

// stopService drains the service, whose exit status says whether it could.
func (d *demo) stopService(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	d.screen.say("the service is told to stop")
	d.service.expectEnd()
	if err := d.service.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the service: %w", err)
	}
	return d.service.awaitEnd(ctx)
}

// judge asks the nodes what they hold until it is what was published, or they
// had time enough for it.
func (d *demo) judge(ctx context.Context, published *objects) (*Verdict, error) {
	d.screen.say("nodes are compared with what was published")
	v := &Verdict{Nodes: len(d.nodes)}
	for _, digest := range published.digests {
		v.Objects += digest.Count
	}
	deadline := time.Now().Add(settleTimeout)
	var lag Histogram
	for i, n := range d.nodes {
		report, err := d.settle(ctx, n, published, d.topics[i], deadline)
		if err != nil {
			return nil, err
		}
		v.Received += report.Stats.Events
		v.Resyncs += report.Stats.Resyncs
		lag.merge(report.Stats.Total)
		if !published.differ(report.Digests, d.topics[i]) {
			v.ConvergedNodes++
			continue
		}
		if err := n.send(Command{Do: doList}); err != nil {
			return nil, err
		}
		list, err := n.await(ctx, kindList)
		if err != nil {
			return nil, err
		}
		v.add(n.name, published.differences(list.Objects, d.topics[i]))
	}
	v.Converged = v.ConvergedNodes == v.Nodes
	v.Lag = lag.quantiles()
	return v, nil
}

// settle returns the report of a node that holds what was published, or the
// last before the deadline.
func (d *demo) settle(ctx context.Context, n *child, published *objects, topics []string, deadline time.Time) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		if err := n.send(Command{Do: doReport}); err != nil {
			return Message{}, err
		}
		m, err := n.await(ctx, kindReport)
		if err != nil {
			return Message{}, err
		}
		if !published.differ(m.Digests, topics) || time.Now().After(deadline) {
			return m, nil
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}
