package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/internal/workload"
)

// WorkerJob is what a worker process has to do.
type WorkerJob struct {
	Number  int     `json:"number"` // from 0
	Workers int     `json:"workers"`
	Seed    uint64  `json:"seed"`
	Tenants int     `json:"tenants"`
	Rate    float64 `json:"rate"` // changes per second of all workers together
}

func (j WorkerJob) generator() *workload.Generator {
	return workload.New(j.Seed, workload.Options{Workers: j.Workers, Tenants: j.Tenants})
}

const (
	statsInterval = 500 * time.Millisecond
	paceInterval  = 5 * time.Millisecond
	// publishTimeout is how long the service may be away or busy.
	publishTimeout = 10 * time.Second
)

// worker publishes its changes of the common stream.
type worker struct {
	job       WorkerJob
	publisher *wyvern.Publisher
	out       *sender
	generator *workload.Generator
	published *objects
	position  uint64 // in the stream
	events    uint64
	late      time.Duration
}

// RunWorker is the worker process: it publishes with opts what the parent says
// on in, and tells it on out.
func RunWorker(ctx context.Context, in io.Reader, out io.Writer, opts wyvern.PublisherOptions) error {
	ctx, commands := receiveCommands(ctx, in)
	first, err := firstCommand(ctx, commands, doWorker)
	if err != nil {
		return err
	}
	opts.ID = fmt.Sprintf("demo-worker-%d", first.Worker.Number+1)
	p, err := wyvern.OpenPublisher(ctx, opts)
	if err != nil {
		return err
	}
	w := &worker{job: *first.Worker, publisher: p, out: newSender(out), generator: first.Worker.generator(), published: newObjects()}
	return errors.Join(orphaned(ctx, w.run(ctx, commands)), p.Close())
}

func (w *worker) run(ctx context.Context, commands <-chan Command) error {
	if err := w.out.send(Message{Kind: KindReady}); err != nil {
		return err
	}
	pace, stats := time.NewTicker(paceInterval), time.NewTicker(statsInterval)
	defer pace.Stop()
	defer stats.Stop()
	var start time.Time
	for {
		select {
		case c := <-commands:
			switch c.Do {
			case doStart:
				start = time.Now()
			case doStop:
				return w.finish(ctx)
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-stats.C:
			if err := w.out.send(Message{Kind: KindStats, Stats: w.stats()}); err != nil {
				return err
			}
		case now := <-pace.C:
			if start.IsZero() {
				continue
			}
			if err := w.publishUntil(ctx, start, now); err != nil {
				return err
			}
		}
	}
}

// maxBurst bounds how long a worker that caught up with the pace is deaf to
// commands.
const maxBurst = 1000

// publishUntil publishes the worker's changes of the stream up to where it
// ought to be by now.
func (w *worker) publishUntil(ctx context.Context, start, now time.Time) error {
	due := uint64(now.Sub(start).Seconds() * w.job.Rate)
	for range maxBurst {
		if w.position >= due {
			break
		}
		number, c := w.generator.Next()
		w.position++
		if number == w.job.Number {
			if err := w.publish(ctx, c); err != nil {
				return err
			}
		} else if c.Action == workload.Delete {
			w.published.bury(objectID{c.Topic, c.Table, c.Key})
		}
	}
	w.late = max(0, time.Since(start)-time.Duration(float64(w.position)/w.job.Rate*float64(time.Second)))
	return nil
}

func (w *worker) publish(ctx context.Context, c workload.Change) error {
	value := stamp(c.Value, time.Now())
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := w.publisher.Publish(ctx, wyvern.Event{
		Table: c.Table, Key: c.Key, Action: c.Action, Value: value, Topic: c.Topic, Version: c.Version,
	})
	if err != nil {
		return fmt.Errorf("publish %s %s version %d: %w", c.Table, c.Key, c.Version, err)
	}
	w.events++
	w.published.put(Object{
		Topic: c.Topic, Table: c.Table, Key: c.Key, Version: c.Version,
		Sum: sum(c.Table, c.Key, c.Version, value), Deleted: c.Action == workload.Delete,
	})
	return nil
}

// finish hands over what was accepted, and reports.
func (w *worker) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := w.publisher.Shutdown(ctx); err != nil {
		return fmt.Errorf("hand over to the service: %w", err)
	}
	return w.out.send(Message{Kind: kindReport, Stats: w.stats(), Objects: w.published.list()})
}

func (w *worker) stats() Stats {
	return Stats{Events: w.events, Objects: w.published.live(), Late: w.late}
}

// stampName is an extra member of the published objects: when they left the
// worker, in microseconds since 1970.
const stampName = `{"published_at":`

// stamp adds the time to an object, which is JSON text that begins with "{".
func stamp(value string, t time.Time) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf("%s%d,%s", stampName, t.UnixMicro(), value[1:])
}

// stamped reads the time that stamp added.
func stamped(value string) (time.Time, bool) {
	var us int64
	if _, err := fmt.Sscanf(value, stampName+"%d,", &us); err != nil {
		return time.Time{}, false
	}
	return time.UnixMicro(us), true
}
