package nats_test

import (
	"context"
	"strings"
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

// away is for how long a server that was killed is.
const away = 10 * time.Second

// fault is one with a place of its own.
type fault struct {
	drivertest.Fault
	// place starts what is struck and returns its configuration and how it is
	// struck.
	place func(t testing.TB) (driver.Config, func(t testing.TB))
}

// runFaults runs each fault at its place, and those that every driver has at
// that of the first one.
func runFaults(t *testing.T, d nats.Driver, faults []fault) {
	var list []drivertest.Fault
	strikes := make(map[string]func(testing.TB)) // by prefix
	for _, f := range faults {
		f.Strike = func(t testing.TB, cfg driver.Config) { strikes[cfg.Params["prefix"]](t) }
		list = append(list, f.Fault)
	}
	drivertest.RunFaults(t, drivertest.Harness{Driver: d, Timeout: 40 * time.Second, Config: func(t testing.TB) driver.Config {
		f := faults[0]
		for _, other := range faults {
			if strings.HasSuffix(t.Name(), "/"+other.Name) {
				f = other
			}
		}
		cfg, strike := f.place(t)
		strikes[cfg.Params["prefix"]] = strike
		return cfg
	}}, list)
}

// common are the faults of both kinds. js: with JetStream, which resumes.
func common(js bool) []fault {
	replicas := "1"
	if js {
		replicas = "3"
	}
	return []fault{
		{drivertest.Fault{Name: "ServerRestarted"}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			b := newBroker(t, embedded.Options{JetStream: js})
			return at(b.s.URL()), func(t testing.TB) { b.stop(); b.start(t) }
		}},
		{drivertest.Fault{Name: "ServerKilledAndAway"}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			p := newProcess(t)
			return at(p.url), func(t testing.TB) {
				p.kill()
				time.Sleep(away) // the fault is that long
				p.start(t)
			}
		}},
		{drivertest.Fault{Name: "ConnectionsReset", Resumes: js}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			p, url := proxied(t, newBroker(t, embedded.Options{JetStream: js}).s.URL())
			return at(url), func(t testing.TB) {
				if p.Reset() < 5 {
					t.Error("fewer connections were reset than there are halves")
				}
			}
		}},
		{drivertest.Fault{Name: "BlackHole"}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			p, url := proxied(t, newBroker(t, embedded.Options{JetStream: js}).s.URL())
			return at(url), func(t testing.TB) {
				p.Apply(proxy.Both, proxy.Rule{Hold: true})
				time.Sleep(5 * time.Second) // long enough that both sides notice
				p.Heal()
				if p.Counts().Withheld == 0 {
					t.Error("nothing was withheld")
				}
			}
		}},
		{drivertest.Fault{Name: "ClusterServerDies", Within: 15 * time.Second}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			list := cluster(t, embedded.Options{JetStream: js})
			var urls []string
			for _, b := range list {
				urls = append(urls, b.s.URL())
			}
			cfg := at(urls...)
			cfg.Params["stream_replicas"] = replicas
			return cfg, func(t testing.TB) {
				most := list[0]
				for _, b := range list {
					if b.s.Clients() > most.s.Clients() {
						most = b
					}
				}
				if most.s.Clients() == 0 {
					t.Error("nobody is connected to the server that dies")
				}
				most.stop()
			}
		}},
	}
}

func TestN8PlainFaults(t *testing.T) { runFaults(t, nats.Driver{}, common(false)) }

func TestN8JetStreamFaults(t *testing.T) {
	operator := func(name string, strike func(ctx context.Context, js jetstream.JetStream, stream string) error) fault {
		return fault{drivertest.Fault{Name: name}, func(t testing.TB) (driver.Config, func(testing.TB)) {
			b := newBroker(t, embedded.Options{JetStream: true})
			cfg := at(b.s.URL())
			return cfg, func(t testing.TB) {
				nc, err := client.Connect(cfg.Servers[0])
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				js, err := jetstream.New(nc)
				if err != nil {
					t.Fatal(err)
				}
				if err := strike(t.Context(), js, cfg.Params["stream"]); err != nil {
					t.Errorf("the fault did not strike: %v", err)
				}
			}
		}}
	}
	deleteConsumers := func(ctx context.Context, js jetstream.JetStream, name string) error {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		for consumer := range stream.ConsumerNames(ctx).Name() {
			if err := stream.DeleteConsumer(ctx, consumer); err != nil {
				return err
			}
		}
		return nil
	}
	gone := operator("ConsumersDeleted", deleteConsumers)
	gone.Resumes = true
	runFaults(t, nats.Driver{JetStream: true}, append(common(true),
		operator("StreamDeleted", func(ctx context.Context, js jetstream.JetStream, name string) error {
			return js.DeleteStream(ctx, name)
		}),
		operator("StreamPurged", func(ctx context.Context, js jetstream.JetStream, name string) error {
			stream, err := js.Stream(ctx, name)
			if err == nil {
				err = stream.Purge(ctx)
			}
			return err
		}),
		gone,
	))
}
