package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/workload"
)

// Options shape a demo.
type Options struct {
	Workers, Nodes int
	// Duration is from the start of the first process to the verdict, about.
	Duration time.Duration
	Seed     uint64
	// Rate is how many changes all workers make in a second.
	Rate float64

	// Executable is the binary that has the children's verbs: "serve
	// --supervised", "demo-worker" and "demo-node". Config are its flags for
	// the configuration; those of the demo come after them.
	Executable string
	Config     []string

	// Screen is where the progress is shown: as a table that is redrawn if it
	// is a terminal, else as one line a second.
	Screen io.Writer
}

// share is the part of the tenants that a node has, one of so many, though two
// at least if there are as many.
const share = 6

// tenants is how many there are for so many nodes.
func (o Options) tenants() int { return max(12, 2*o.Nodes) }

// Timing.
const (
	startTimeout = 20 * time.Second // for a process to be ready
	drainTimeout = 30 * time.Second // for a step of the end
	// settleTimeout is how long after the service has ended nodes may still be
	// busy with what it had sent.
	settleTimeout = 5 * time.Second
	settlePause   = 50 * time.Millisecond
	// drainReserve is how long before the end the workers stop, so that the
	// verdict comes in time; of short demos no more than a quarter.
	drainReserve = 500 * time.Millisecond
)

// demo is a running one.
type demo struct {
	opts    Options
	start   time.Time
	dir     string
	screen  *screen
	service *child
	workers []*child
	nodes   []*child
	topics  [][]string              // by node, D first
	fail    context.CancelCauseFunc // ends the run: a child has failed
	watch   sync.WaitGroup
}

// Run runs the demo. The error is about the demo, or says why there is no
// verdict, ctx having ended for one; whether the nodes converged is in the
// verdict.
func Run(ctx context.Context, opts Options) (v *Verdict, err error) {
	dir, err := os.MkdirTemp("", "wyvern-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the socket: %w", err)
	}
	d := &demo{opts: opts, start: time.Now(), dir: dir, screen: newScreen(opts.Screen)}
	defer func() {
		d.end()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	running, fail := context.WithCancelCause(ctx)
	d.fail = fail
	defer fail(nil)
	v, err = d.run(running)
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return nil, errors.New("stopped before there was a verdict")
	case running.Err() != nil:
		return nil, context.Cause(running)
	}
	return nil, err
}

// run is the script.
func (d *demo) run(ctx context.Context) (*Verdict, error) {
	if err := d.startAll(ctx); err != nil {
		return nil, err
	}
	// 1. The workers publish.
	for _, w := range d.workers {
		if err := w.send(Command{Do: doStart}); err != nil {
			return nil, err
		}
	}
	if err := d.play(ctx); err != nil {
		return nil, err
	}
	// 2. The workers stop: all that they published is handed to the service.
	published, events, err := d.stopWorkers(ctx)
	if err != nil {
		return nil, err
	}
	// 3. The service stops: all that it has is handed to the nodes.
	if err := d.stopService(ctx); err != nil {
		return nil, err
	}
	// 4. The nodes are compared with the workers.
	v, err := d.judge(ctx, published)
	if err != nil {
		return nil, err
	}
	v.Workers, v.Published = len(d.workers), events
	v.Seconds = time.Since(d.start).Seconds()
	d.screen.show(d.rows(), "done", true)
	return v, nil
}

// spawn starts a child, whose failure then ends the run.
func (d *demo) spawn(name string, args ...string) (*child, error) {
	args = append(args, d.opts.Config...)
	for _, set := range [...]string{
		"df.publisher_port=0", // any that is free
		"df.publisher_bind_address=127.0.0.1",
		"df_zmq.ipc_socket=" + filepath.Join(d.dir, "socket"),
		"wyvern.publisher_id=demo",
		"wyvern.log_level=warning",
	} {
		args = append(args, "--set", set)
	}
	c, err := start(name, d.opts.Executable, args...)
	if err != nil {
		return nil, err
	}
	d.watch.Go(func() {
		<-c.done
		if c.err != nil {
			d.fail(c.err)
		}
	})
	return c, nil
}

// startAll starts every process. When it returns nil, the nodes are subscribed.
func (d *demo) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	d.screen.say("starting 1 service, %d nodes, %d workers", d.opts.Nodes, d.opts.Workers)
	var err error
	if d.service, err = d.spawn("service", "serve", "--supervised"); err != nil {
		return err
	}
	ready, err := d.service.await(ctx, KindReady)
	if err != nil {
		return err
	}
	d.topics = assign(d.opts)
	for i, topics := range d.topics {
		n, err := d.spawn(fmt.Sprintf("node %d", i+1), "demo-node")
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
		if err := n.send(Command{Do: doNode, Node: &NodeJob{Connect: ready.Network, Topics: topics}}); err != nil {
			return err
		}
	}
	for i := range d.opts.Workers {
		w, err := d.spawn(fmt.Sprintf("worker %d", i+1), "demo-worker")
		if err != nil {
			return err
		}
		d.workers = append(d.workers, w)
		job := d.opts.job(i)
		if err := w.send(Command{Do: doWorker, Worker: &job}); err != nil {
			return err
		}
	}
	for _, c := range d.processes() {
		if c == d.service {
			continue
		}
		if _, err := c.await(ctx, KindReady); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) job(worker int) WorkerJob {
	return WorkerJob{Number: worker, Workers: o.Workers, Seed: o.Seed, Tenants: o.tenants(), Rate: o.Rate}
}

// assign gives every node the topics that it holds: everybody's, and those of
// some tenants.
func assign(o Options) [][]string {
	tenants := o.job(0).generator().Topics()
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	topics := make([][]string, o.Nodes)
	for i := range topics {
		topics[i] = []string{workload.Everyone}
		for _, t := range rng.Perm(len(tenants))[:max(2, len(tenants)/share)] {
			topics[i] = append(topics[i], tenants[t])
		}
	}
	return topics
}

// play shows the progress until it is time for the workers to stop.
func (d *demo) play(ctx context.Context) error {
	stop := time.NewTimer(time.Until(d.start.Add(d.opts.Duration - min(drainReserve, d.opts.Duration/4))))
	defer stop.Stop()
	ticker := time.NewTicker(d.screen.interval())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			elapsed := time.Since(d.start).Round(time.Second)
			d.screen.show(d.rows(), fmt.Sprintf("%v of %v", elapsed, d.opts.Duration), false)
		case <-stop.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// processes returns all that were started, in the order of the screen.
func (d *demo) processes() []*child {
	var all []*child
	all = append(all, d.workers...)
	if d.service != nil {
		all = append(all, d.service)
	}
	return append(all, d.nodes...)
}

// end ends every process that is left, all at once, and waits.
func (d *demo) end() {
	var wait sync.WaitGroup
	for _, c := range d.processes() {
		wait.Go(c.end)
	}
	wait.Wait()
	d.watch.Wait()
}
