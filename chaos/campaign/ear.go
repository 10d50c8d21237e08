//go:build linux

package campaign

import (
	"context"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/driver"
	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
)

// sound is what a handler was called with.
type sound struct {
	at     time.Duration
	topic  string
	key    string // of an event
	resync bool
	reason wyvern.Reason
}

// ear is a subscriber at its default settings that remembers what it heard.
type ear struct {
	sub *wyvern.Subscriber

	mu      sync.Mutex
	heard   []sound
	changed chan struct{}
}

// listenTo opens a subscriber.
func listenTo(ctx context.Context, uri string, topics ...string) (*ear, error) {
	e := &ear{changed: make(chan struct{})}
	var err error
	e.sub, err = wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Alias: "zmq_pubsub_driver", Topics: topics, Connect: []string{uri}, Handler: e.handle,
	})
	return e, err
}

func (e *ear) handle(_ context.Context, ev wyvern.Event) error {
	s := sound{at: actor.Now(), topic: ev.Topic, key: ev.Key, resync: ev.Action == wyvern.ActionSync, reason: ev.Reason}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, s)
	close(e.changed)
	e.changed = make(chan struct{})
	return nil
}

// forget forgets what was heard so far.
func (e *ear) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = nil
}

// await returns the first sound since the last forget for which yes says so.
func (e *ear) await(ctx context.Context, yes func(*sound) bool) (sound, error) {
	for next := 0; ; {
		e.mu.Lock()
		for ; next < len(e.heard); next++ {
			if s := e.heard[next]; yes(&s) {
				e.mu.Unlock()
				return s, nil
			}
		}
		changed := e.changed
		e.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return sound{}, ctx.Err()
		}
	}
}

// mouth opens a worker's publisher in this process.
func mouth(ctx context.Context, svc *service) (*wyvern.Publisher, error) {
	return wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{
		Alias: "zmq_pubsub_multiproc_driver", Hop: driver.IPC, Config: driver.Config{Socket: svc.socket},
	})
}
