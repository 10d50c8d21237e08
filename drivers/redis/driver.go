package redis

import (
	"context"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	both := driver.Publishes | driver.Subscribes
	for name, d := range map[string]Driver{
		"redis":                  {},
		"redis_db_pubsub_driver": {},
		"redis_streams":          {Streams: true},
	} {
		driver.Register(driver.Alias{
			Name: name, Network: driver.Part{Driver: d, Roles: both},
			Group: "redis", Options: table,
		})
	}
}

// Driver implements driver.Driver.
type Driver struct {
	// Streams keeps messages in streams, from which who was away reads them
	// later; default: Pub/Sub, which keeps nothing.
	Streams bool
}

// Capabilities implements driver.Driver.
func (d Driver) Capabilities() driver.Capabilities {
	c := driver.Capabilities{
		Name: "redis pub/sub", Ordered: true, Lossy: true, Filters: true, Confirms: true,
		MaxPayload: defaultBulk,
	}
	if d.Streams {
		c.Name, c.Persistent, c.Resumes = "redis streams", true, true
		c.Ordered, c.OrderedByTopic = false, true
	}
	return c
}

// OpenPublisher implements driver.Driver.
func (d Driver) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	s, err := newSite(cfg)
	if err != nil {
		return nil, err
	}
	return openPublisher(ctx, s, d.Streams)
}

// OpenSubscriber implements driver.Driver.
func (d Driver) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	s, err := newSite(cfg)
	if err != nil {
		return nil, err
	}
	if d.Streams {
		return openReplay(ctx, s)
	}
	return openSubscriber(ctx, s)
}
