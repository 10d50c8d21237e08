package etcd

import (
	"context"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	both := driver.Part{Driver: Driver{}, Roles: driver.Publishes | driver.Subscribes}
	for _, name := range []string{"etcd", "etcd_pubsub_driver"} {
		driver.Register(driver.Alias{Name: name, Network: both, Group: "etcd", Options: options})
	}
}

// Driver implements driver.Driver.
type Driver struct{}

// Capabilities implements driver.Driver. The package comment says what each
// rests on.
func (Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Name: "etcd", OrderedByTopic: true, Persistent: true, Resumes: true, Filters: true, Confirms: true}
}

// OpenPublisher implements driver.Driver.
func (Driver) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	cfg = cfg.WithDefaults()
	s, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, s, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.mayWrite(ctx); err != nil {
		c.close()
		return nil, err
	}
	return newPublisher(c, cfg), nil
}

// OpenSubscriber implements driver.Driver.
func (Driver) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	cfg = cfg.WithDefaults()
	s, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, s, cfg)
	if err != nil {
		return nil, err
	}
	sub := newSubscriber(c, cfg)
	if cfg.AllTopics {
		if err := sub.holdAll(ctx); err != nil {
			c.close()
			return nil, err
		}
	}
	sub.start()
	return sub, nil
}
