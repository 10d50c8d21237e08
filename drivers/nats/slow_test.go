package nats_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

// reader is a node that can be stopped.
type reader struct {
	*wyvern.Subscriber
	gate sync.RWMutex // held by who stops it

	mu    sync.Mutex
	keys  map[string]bool
	told  map[string]wyvern.Reason // by topic, the last one
	syncs map[string]int           // by topic
}

func newReader(t *testing.T, d driver.Driver, cfg driver.Config, topics ...string) *reader {
	t.Helper()
	r := &reader{keys: map[string]bool{}, told: map[string]wyvern.Reason{}, syncs: map[string]int{}}
	var err error
	r.Subscriber, err = wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Driver: d, Config: cfg, Topics: topics, Handler: func(_ context.Context, e wyvern.Event) error {
			r.gate.RLock()
			defer r.gate.RUnlock()
			r.mu.Lock()
			defer r.mu.Unlock()
			if e.Action == wyvern.ActionSync {
				r.told[e.Topic] = e.Reason
				r.syncs[e.Topic]++
			} else {
				r.keys[e.Key] = true
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *reader) has(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[key]
}

func (r *reader) reason(topic string) wyvern.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[topic]
}

// synced is how often a resync of the topic was told.
func (r *reader) synced(topic string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.syncs[topic]
}

func newWriter(t *testing.T, d driver.Driver, cfg driver.Config) *wyvern.Publisher {
	t.Helper()
	p, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{Driver: d, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func publish(t *testing.T, p *wyvern.Publisher, topic, key string, size int) {
	t.Helper()
	e := wyvern.Event{Table: "t", Key: key, Action: wyvern.ActionSet, Topic: topic, Value: string(make([]byte, size))}
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// A handler that is stuck costs memory up to the inbox, stops nobody, and is
// told what it missed.
func TestSlowHandler(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			cfg := newPlace(start(t, embedded.Options{JetStream: true}))
			cfg.MaxPayload = 256 << 10
			cfg.Params["inbox_bytes"] = fmt.Sprint(1 << 20)
			stuck, other := newReader(t, d, cfg, "T", "quiet"), newReader(t, d, cfg, "T")
			p := newWriter(t, d, cfg)
			publish(t, p, "T", "first", 0)
			poll(t, "the first event", func() bool { return stuck.has("first") && other.has("first") })
			stuck.gate.Lock()
			const count, size = 60, 100 << 10
			for i := range count {
				publish(t, p, "T", fmt.Sprint(i), size)
				poll(t, "the event at who is not stuck", func() bool { return other.has(fmt.Sprint(i)) })
			}
			// Two inboxes' worth, what the loop holds in its batch, and slack.
			if got := stuck.Status().Retained; got > 1<<20 {
				t.Errorf("%d bytes wait for who is stuck", got)
			}
			stuck.gate.Unlock()
			publish(t, p, "T", "last", 0)
			poll(t, "the last event", func() bool { return stuck.has("last") })
			if d.Capabilities().Lossy {
				if got := stuck.reason("T"); got != wyvern.ReasonBehind && got != wyvern.ReasonGap {
					t.Errorf("told %q, want that it fell behind", got)
				}
				return
			}
			got := stuck.reason("T")
			if got != "" && got != wyvern.ReasonLost { // which it is told when that took long
				t.Errorf("told %q, though nothing was lost", got)
			}
			for i := range count {
				if got == "" && !stuck.has(fmt.Sprint(i)) {
					t.Fatalf("event %d is missing, though the stream has it", i)
				}
			}
		})
	}
}

// Who is away for longer than the stream keeps is told so.
func TestStreamLimits(t *testing.T) {
	drivertest.CheckLeaks(t)
	d := nats.Driver{JetStream: true}
	server := start(t, embedded.Options{JetStream: true})
	cfg := newPlace(server)
	cfg.Params["stream_max_bytes"] = fmt.Sprint(1 << 20)
	way, url := proxied(t, server.URL())
	away := cfg
	away.Servers = []string{url}
	r := newReader(t, d, away, "T", "U")
	p := newWriter(t, d, cfg)
	publish(t, p, "T", "first", 0)
	poll(t, "the first event", func() bool { return r.has("first") })
	before := way.Counts()
	way.Refuse(true)
	if way.Reset() == 0 {
		t.Fatal("there was no connection")
	}
	for i := range 40 {
		publish(t, p, "T", fmt.Sprint(i), 100<<10)
	}
	poll(t, "an attempt to connect", func() bool { return way.Counts().Minus(before).Refused > 0 })
	way.Refuse(false)
	poll(t, "the end of the backlog", func() bool { return r.has("39") })
	for _, topic := range []string{"T", "U"} {
		poll(t, "what was missed of "+topic, func() bool { return r.reason(topic) == wyvern.ReasonBehind })
	}
	if r.has("0") {
		t.Error("nothing was dropped")
	}
}

// The same while the connection stands: it is the reader that does not read.
func TestStreamLimitsPassAReader(t *testing.T) {
	drivertest.CheckLeaks(t)
	d := nats.Driver{JetStream: true}
	cfg := newPlace(start(t, embedded.Options{JetStream: true}))
	cfg.MaxPayload = 256 << 10
	cfg.Params["stream_max_bytes"] = fmt.Sprint(1 << 20)
	cfg.Params["inbox_bytes"] = fmt.Sprint(1 << 20)
	r := newReader(t, d, cfg, "T", "U")
	p := newWriter(t, d, cfg)
	publish(t, p, "T", "first", 0)
	poll(t, "the first event", func() bool { return r.has("first") })
	r.gate.Lock()
	for i := range 80 {
		publish(t, p, "T", fmt.Sprint(i), 100<<10)
	}
	r.gate.Unlock()
	publish(t, p, "T", "last", 0)
	poll(t, "the last event", func() bool { return r.has("last") })
	poll(t, "what was missed", func() bool { return r.reason("T") == wyvern.ReasonBehind })
}

// A peer that takes nothing stops no call for longer than its context.
func TestBlackHoleAndContexts(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			way, url := proxied(t, start(t, embedded.Options{JetStream: true}).URL())
			cfg := at(url)
			cfg.Queue = 64 << 10
			pub, err := d.OpenPublisher(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer pub.Close()
			sub, err := d.OpenSubscriber(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			way.Apply(proxy.Both, proxy.Rule{Hold: true})
			limit := func(what string, f func(ctx context.Context) error) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				began := time.Now()
				if err := f(ctx); err == nil {
					t.Errorf("%s succeeded", what)
				}
				// As long as one write may take, and a busy machine.
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("%s took %v", what, took)
				}
			}
			limit("Publish", func(ctx context.Context) error {
				for {
					m := driver.Message{Topic: []byte("T"), Payload: make([]byte, 30<<10)}
					if _, err := pub.Publish(ctx, []driver.Message{m}); err != nil {
						return err
					}
				}
			})
			limit("Subscribe", func(ctx context.Context) error { return sub.Subscribe(ctx, "T") })
			began := time.Now()
			pub.Close()
			sub.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			way.Heal()
		})
	}
}
