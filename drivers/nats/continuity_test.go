package nats_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

// halves are a publisher and a subscriber, without the core.
type halves struct {
	*testing.T
	pub driver.Publisher
	sub driver.Subscriber
}

// open opens both, the subscriber by another way.
func open(t *testing.T, d driver.Driver, cfg driver.Config, way string) halves {
	t.Helper()
	pub, err := d.OpenPublisher(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pub.Close() })
	cfg.Servers = []string{way}
	sub, err := d.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return halves{t, pub, sub}
}

func (h halves) subscribe(topics ...string) {
	h.Helper()
	if err := h.sub.Subscribe(h.Context(), topics...); err != nil {
		h.Fatal(err)
	}
}

func (h halves) send(topic, text string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	if _, err := h.pub.Publish(ctx, []driver.Message{{Topic: []byte(topic), Payload: []byte(text)}}); err != nil {
		h.Fatalf("Publish: %v", err)
	}
}

// next is what comes next, in words.
func (h halves) next() string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	one := make([]driver.Message, 1)
	if _, err := h.sub.Receive(ctx, one); err != nil {
		return err.Error()
	}
	if one[0].Notice != driver.NoNotice {
		return fmt.Sprintf("%v %s", one[0].Notice, one[0].Topic)
	}
	return fmt.Sprintf("%s: %s", one[0].Topic, one[0].Payload)
}

func (h halves) want(list ...string) {
	h.Helper()
	for _, want := range list {
		if got := h.next(); got != want {
			h.Fatalf("got %q, want %q", got, want)
		}
	}
}

// On plain subjects a connection that was made again may have missed something.
func TestPlainReconnect(t *testing.T) {
	drivertest.CheckLeaks(t)
	s := start(t, embedded.Options{})
	way, url := proxied(t, s.URL())
	h := open(t, nats.Driver{}, newPlace(s), url)
	h.subscribe("a", "b")
	h.send("a", "1")
	h.want("a: 1")
	way.Reset()
	h.want("gap ")
	h.send("b", "2") // in force again when that was told
	h.want("b: 2")
}

// On a stream nothing is missed, and nothing said.
func TestStreamReconnect(t *testing.T) {
	drivertest.CheckLeaks(t)
	s := start(t, embedded.Options{JetStream: true})
	way, url := proxied(t, s.URL())
	h := open(t, nats.Driver{JetStream: true}, newPlace(s), url)
	h.subscribe("a", "b")
	h.send("a", "1")
	h.want("a: 1")
	way.Refuse(true)
	way.Reset()
	h.send("a", "2")
	h.send("other", "3")
	h.send("b", "4")
	way.Refuse(false)
	h.want("a: 2", "b: 4")
}

// A topic is received from where its subscription began, wherever an older one
// is resumed from.
func TestStreamTopicsBeginWithTheirSubscription(t *testing.T) {
	drivertest.CheckLeaks(t)
	s := start(t, embedded.Options{JetStream: true})
	way, url := proxied(t, s.URL())
	h := open(t, nats.Driver{JetStream: true}, newPlace(s), url)
	h.subscribe("a")
	h.send("a", "1")
	h.want("a: 1")
	h.send("b", "before")
	h.subscribe("b")
	way.Reset() // now it goes on from behind a: 1, that is before b: before
	h.send("b", "after")
	h.want("b: after")
	if err := h.sub.Unsubscribe(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	h.send("b", "meanwhile")
	h.subscribe("b")
	h.send("b", "again")
	h.want("b: again")
}

// A change of topics that was on its way when the connection went is neither
// lost nor believed too early.
func TestChangeInFlight(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			s := start(t, embedded.Options{JetStream: true})
			way, url := proxied(t, s.URL())
			h := open(t, d, newPlace(s), url)
			h.subscribe("a")
			way.Apply(proxy.Both, proxy.Rule{Hold: true})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			err := h.sub.Subscribe(ctx, "b")
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Subscribe through a black hole: %v", err)
			}
			way.Heal()
			// Confirmed where the connection came back, gap where a new one was
			// made.
			if got := h.next(); got != "confirmed b" && got != "gap " {
				t.Fatalf("got %q, want to be told that b is in force", got)
			}
			h.send("b", "1")
			for got := h.next(); got != "b: 1"; got = h.next() {
				if got != "gap " && got != "confirmed b" {
					t.Fatalf("got %q", got)
				}
			}
		})
	}
}

// What an operator does to the stream is told, and survived.
func TestStreamDeleted(t *testing.T) {
	drivertest.CheckLeaks(t)
	s := start(t, embedded.Options{JetStream: true})
	cfg := newPlace(s)
	h := open(t, nats.Driver{JetStream: true}, cfg, s.URL())
	h.subscribe("a")
	h.send("a", "1")
	h.want("a: 1")
	nc, err := client.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), cfg.Params["stream"]); err != nil {
		t.Fatal(err)
	}
	h.want("gap ")
	h.send("a", "2")
	h.want("a: 2")
}

// What a connection took along is sent again on the next one.
func TestPublisherSendsAgain(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			s := start(t, embedded.Options{JetStream: true})
			way, url := proxied(t, s.URL())
			cfg := newPlace(s)
			direct := cfg.Servers[0]
			cfg.Servers = []string{url}
			h := open(t, d, cfg, direct)
			h.subscribe("a")
			way.Apply(proxy.Up, proxy.Rule{Hold: true})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			n, err := h.pub.Publish(ctx, []driver.Message{{Topic: []byte("a"), Payload: []byte("1")}})
			cancel()
			if d.JetStream && (n != 0 || !errors.Is(err, driver.ErrUnsure) || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("Publish without an answer: %d, %v", n, err)
			}
			poll(t, "bytes in the black hole", func() bool { return way.Counts().Withheld > 0 })
			way.Reset()
			way.Heal()
			h.send("a", "2")
			h.want("a: 1", "a: 2")
		})
	}
}
