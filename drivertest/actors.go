package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// publishPatience is how long a worker waits for Publish.
const publishPatience = 2 * time.Second

// worker publishes, to the judge's knowledge.
type worker struct {
	s      *scene
	name   string
	topics []string // the first one gets an event now and then only
	counts map[string]uint64
	done   chan struct{}

	mu   sync.Mutex // held while one event is published
	pub  *wyvern.Publisher
	half driver.Publisher
}

func (s *scene) newWorker(name string, topics []string) *worker {
	s.Helper()
	w := &worker{s: s, name: name, topics: topics, counts: make(map[string]uint64), done: make(chan struct{})}
	w.open(nil)
	s.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.closes("Close of a Publisher", w.pub.Close)
	})
	return w
}

// open opens the publisher, or its successor. Caller holds the lock, or is alone.
func (w *worker) open(left *bytes.Buffer) {
	w.s.Helper()
	d := &tap{Driver: w.s.h.Driver}
	o := wyvern.PublisherOptions{Driver: d, Hop: w.s.h.Hop, ID: w.name, Config: w.s.config()}
	if left != nil {
		o.Restore = left
	}
	if b, ok := w.half.(driver.Bound); ok { // its nodes look for it there
		switch addr := b.Addr().(type) {
		case *net.TCPAddr:
			o.Config.Port = addr.Port
		default:
			o.Config.Socket = addr.String()
		}
	}
	var err error
	if w.pub, err = wyvern.OpenPublisher(w.s.ctx, o); err != nil {
		w.s.Fatalf("OpenPublisher: %v", err)
	}
	w.half = d.last
	w.s.judge.incarnation(w.pub.Epoch(), w.name)
}

// crash ends the publisher without a word; another incarnation comes.
func (w *worker) crash() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s.closes("Close of a Publisher", w.pub.Close)
	w.open(nil)
}

// handOver has a successor go on where the publisher stops.
func (w *worker) handOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.pub.Shutdown(w.s.ctx); err != nil {
		w.s.Fatalf("Shutdown: %v", err)
	}
	var left bytes.Buffer
	if err := w.pub.Save(&left); err != nil {
		w.s.Fatalf("Save: %v", err)
	}
	w.open(&left)
}

// run publishes until ctx ends. A Publish that has begun is waited for.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	lull := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		topic := w.topics[1+i%(len(w.topics)-1)]
		if time.Since(lull) > lullPace {
			topic, lull = w.topics[0], time.Now()
		}
		w.publish(topic)
		linger(ctx, faultPace)
	}
}

func (w *worker) publish(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[topic]++
	of := sent{w.name, topic, w.counts[topic]}
	e := set(topic, fmt.Sprintf("%s/%d", of.worker, of.n))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.s.ctx), publishPatience)
	defer cancel()
	w.s.judge.publishing(of)
	if err := w.pub.Publish(ctx, e); err == nil || errors.Is(err, wyvern.ErrUnsure) {
		w.s.judge.accepted(of, w.pub.Epoch(), e.Value, err != nil)
	}
}

// node subscribes, to the judge's knowledge.
type node struct {
	s    *scene
	name string
	sub  *wyvern.Subscriber
	done chan struct{}
}

func (s *scene) newNode(name string, topics []string) *node {
	s.Helper()
	n := &node{s: s, name: name, done: make(chan struct{})}
	s.judge.add(validator.Record{Kind: validator.KindOpen, At: int64(s.judge.now()), Session: name})
	var uris []string
	if s.caps.Binds&driver.Publishes != 0 {
		for _, w := range s.workers {
			uris = append(uris, s.h.URI(w.half))
		}
	}
	for _, topic := range topics {
		s.judge.add(validator.Record{Kind: validator.KindSubscribe, At: int64(s.judge.now()), Session: name, Topic: topic})
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.h.Timeout)
	defer cancel()
	var err error
	n.sub, err = wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Driver: s.h.Driver, Hop: s.h.Hop, Topics: topics, Connect: uris, Config: s.config(), Handler: n.handle,
	})
	if err != nil {
		s.Fatalf("OpenSubscriber: %v", err)
	}
	s.Cleanup(func() { s.closes("Close of a Subscriber", n.sub.Close) })
	if err := n.sub.Await(ctx); err != nil && !errors.Is(err, wyvern.ErrNotSupported) {
		s.Fatalf("Await: %v", err)
	}
	for _, topic := range topics {
		s.judge.add(validator.Record{Kind: validator.KindSubscribed, At: int64(s.judge.now()), Session: name, Topic: topic})
	}
	return n
}

func (n *node) handle(_ context.Context, e wyvern.Event) error {
	if e.Action == wyvern.ActionSync {
		n.s.judge.resync(n.name, &e)
		return nil
	}
	of := sent{topic: e.Topic}
	if _, err := fmt.Sscanf(e.Key, "worker-%1s/%d", &of.worker, &of.n); err != nil {
		n.s.Errorf("node %s got an event with the key %q: nobody sent that", n.name, e.Key)
		return nil
	}
	of.worker = "worker-" + of.worker
	n.s.judge.event(n.name, &e, of)
	return nil
}

// churn takes and drops topics, until ctx ends.
func (n *node) churn(ctx context.Context, topics []string) {
	defer close(n.done)
	record := func(kind validator.Kind, topic string) {
		n.s.judge.add(validator.Record{Kind: kind, At: int64(n.s.judge.now()), Session: n.name, Topic: topic})
	}
	for i := 0; ctx.Err() == nil; i++ {
		topic := topics[i%len(topics)]
		patient, cancel := context.WithTimeout(ctx, publishPatience)
		record(validator.KindSubscribe, topic)
		if n.sub.Subscribe(patient, topic) == nil {
			record(validator.KindSubscribed, topic)
		}
		cancel()
		linger(ctx, time.Duration(50+i*37%200)*time.Millisecond)
		record(validator.KindUnsubscribe, topic)
		if err := n.sub.Unsubscribe(n.s.ctx, topic); err == nil {
			record(validator.KindUnsubscribed, topic)
		}
	}
}
