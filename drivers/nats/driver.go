package nats

import (
	"context"

	"github.com/wyvern-pubsub/wyvern/driver"

	client "github.com/nats-io/nats.go"
)

// Group names the section of configurations that all these drivers share.
const Group = "nats"

func init() {
	for name, d := range map[string]Driver{"nats": {}, "nats_jetstream": {JetStream: true}} {
		driver.Register(driver.Alias{
			Name:    name,
			Network: driver.Part{Driver: d, Roles: driver.Publishes | driver.Subscribes},
			Group:   Group, Options: options,
		})
	}
}

// Driver implements driver.Driver. The zero value is for plain subjects.
type Driver struct {
	// JetStream keeps what is published in a stream.
	JetStream bool
	// InProcess, if set, is the server that a publisher uses, instead of
	// Config.Servers.
	InProcess client.InProcessConnProvider
	// Direct makes a subscriber that is told its servers by Connect, and has a
	// connection to each. Not with JetStream.
	Direct bool
}

// Capabilities implements driver.Driver.
func (d Driver) Capabilities() driver.Capabilities {
	c := driver.Capabilities{Name: "nats", Ordered: true, Lossy: true, Filters: true, Confirms: true}
	if d.JetStream {
		c.Name, c.Lossy, c.Persistent, c.Resumes = "nats jetstream", false, true, true
	}
	return c
}

// OpenPublisher implements driver.Driver.
func (d Driver) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	s, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	if d.InProcess != nil {
		s.tls = nil
	}
	l, err := newLink(s, s.cfg.Servers, d.InProcess)
	if err != nil {
		return nil, err
	}
	if d.JetStream {
		return openStreamPublisher(ctx, l)
	}
	return openPublisher(ctx, l)
}

// OpenSubscriber implements driver.Driver.
func (d Driver) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	s, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	if d.Direct {
		return newDirectSubscriber(s), nil
	}
	l, err := newLink(s, s.cfg.Servers, nil)
	if err != nil {
		return nil, err
	}
	if d.JetStream {
		return openStreamSubscriber(ctx, l)
	}
	return openSubscriber(ctx, l)
}
