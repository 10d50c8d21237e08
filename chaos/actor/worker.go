//go:build linux

package actor

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/driver"
	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
)

// WorkerConfig says what a worker does.
type WorkerConfig struct {
	Name      string   `json:"name"`      // of this process: no other has or had it
	Publisher string   `json:"publisher"` // the service that it belongs to
	Socket    string   `json:"socket"`    // where that is reached
	Topics    []string `json:"topics"`    // each half as busy as the one before,
	Even      bool     `json:"even"`      // or all the same
	Rate      float64  `json:"rate"`      // events per second; 0: only what it is told to
	Size      int      `json:"size"`      // the most that a value has, in bytes
	Seed      uint64   `json:"seed"`
}

const (
	workerTable = "lport"
	// publishTimeout is how long a worker waits for room.
	publishTimeout = time.Second
	// maxBatch is how many events it publishes at once, sometimes.
	maxBatch = 4
)

// Sum is the checksum of an event: of everything that has to arrive as it was.
func Sum(topic, table, key, action, value string) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Join([]string{topic, table, key, action, value}, "\x00")))
}

// workerKey and parseKey carry a worker's own count through the system.
func workerKey(worker string, n uint64) string { return fmt.Sprintf("%s-%d", worker, n) }

func parseKey(key string) (worker string, n uint64, ok bool) {
	worker, digits, found := strings.Cut(key, "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	return worker, n, found && err == nil && n > 0
}

// worker publishes.
type worker struct {
	WorkerConfig
	log    *log
	pub    *wyvern.Publisher
	random *rand.Rand
	counts map[string]uint64
	paused bool
}

// RunWorker publishes until it is told to quit, in ends or ctx does.
func RunWorker(ctx context.Context, cfg WorkerConfig, in io.Reader, out io.Writer) error {
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	pub, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{
		Alias:  "zmq_pubsub_multiproc_driver",
		Hop:    driver.IPC,
		ID:     cfg.Name,
		Config: driver.Config{Socket: cfg.Socket},
		Log:    newLogger(os.Stderr),
	})
	if err != nil {
		return err
	}
	w := &worker{
		WorkerConfig: cfg,
		log:          &log{w: out},
		pub:          pub,
		random:       rand.New(rand.NewPCG(cfg.Seed, 0)),
		counts:       make(map[string]uint64),
	}
	w.run(ctx, orders(ctx, in, quit))
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	// What could not be flushed is no concern of ours: it is accepted, and judged.
	_ = pub.Shutdown(flush)
	if err := context.Cause(ctx); err != context.Canceled {
		return err
	}
	return nil
}

// run does one thing after the other, so that whoever gets an answer knows that
// all before it is done.
func (w *worker) run(ctx context.Context, orders <-chan Order) {
	tick := time.NewTimer(0)
	if w.Rate <= 0 {
		tick.Stop()
	}
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-orders:
			switch o.Do {
			case DoPause:
				w.paused = true
			case DoGo:
				w.paused = false
			case DoBurst:
				w.burst(ctx, o)
			case DoQuit:
				return
			}
			w.log.mark(o)
		case <-tick.C:
			events := 1
			if w.random.IntN(10) == 0 {
				events = 1 + w.random.IntN(maxBatch)
			}
			if !w.paused {
				w.publish(ctx, events, w.topic, 1+w.random.IntN(w.Size))
			}
			tick.Reset(time.Duration(float64(events) * w.random.ExpFloat64() / w.Rate * float64(time.Second)))
		}
	}
}

// topic chooses one: the later in the list, the more quiet.
func (w *worker) topic() string {
	if w.Even {
		return w.Topics[w.random.IntN(len(w.Topics))]
	}
	for _, topic := range w.Topics[:len(w.Topics)-1] {
		if w.random.IntN(2) == 0 {
			return topic
		}
	}
	return w.Topics[len(w.Topics)-1]
}

func (w *worker) burst(ctx context.Context, o Order) {
	for n := o.N; n > 0; n -= maxBatch {
		if !w.publish(ctx, min(n, maxBatch), func() string { return o.Topic }, o.Size) {
			return
		}
	}
}

// publish publishes some events at once and logs those that were accepted.
func (w *worker) publish(ctx context.Context, count int, topic func() string, size int) bool {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	events := make([]wyvern.Event, 0, count)
	next := make(map[string]uint64)
	for range count {
		t := topic()
		if next[t] == 0 {
			next[t] = w.counts[t]
		}
		next[t]++
		events = append(events, wyvern.Event{
			Table: workerTable, Key: workerKey(w.Name, next[t]), Action: wyvern.ActionSet, Value: filler(size), Topic: t,
		})
	}
	begin := Now()
	n, err := len(events), error(nil)
	if len(events) == 1 {
		if err = w.pub.Publish(ctx, events[0]); err != nil {
			n = 0
		}
	} else {
		n, err = w.pub.PublishBatch(ctx, events)
	}
	end := Now()
	for _, e := range events[:n] {
		w.counts[e.Topic]++
		w.log.write(validator.Record{
			Kind: validator.KindAccept, At: int64(begin), End: int64(end), Publisher: w.Publisher, Topic: e.Topic,
			Worker: w.Name, N: w.counts[e.Topic], Sum: Sum(e.Topic, e.Table, e.Key, e.Action, e.Value),
		})
	}
	return err == nil
}

// filler is a value of so many bytes.
func filler(size int) string { return strings.Repeat("x", size) }
