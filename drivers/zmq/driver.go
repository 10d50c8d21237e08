package zmq

import (
	"context"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	network, ipc := Network{}, IPC{}
	const both = driver.Publishes | driver.Subscribes
	driver.Register(driver.Alias{
		Name:    "zmq",
		Network: driver.Part{Driver: network, Roles: both},
		IPC:     driver.Part{Driver: ipc, Roles: both},
	})
	// As Dragonflow names them, and what each is for there.
	driver.Register(driver.Alias{
		Name:    "zmq_pubsub_driver",
		Network: driver.Part{Driver: network, Roles: both},
		IPC:     driver.Part{Driver: ipc, Roles: driver.Publishes},
	})
	driver.Register(driver.Alias{
		Name:    "zmq_bind_pubsub_driver",
		Network: driver.Part{Driver: network, Roles: driver.Publishes},
		IPC:     driver.Part{Driver: ipc, Roles: driver.Subscribes},
	})
	driver.Register(driver.Alias{
		Name: "zmq_pubsub_multiproc_driver",
		IPC:  driver.Part{Driver: ipc, Roles: both},
	})
}

// Network is the driver of the network hop: PUB and SUB.
type Network struct{}

// Capabilities implements driver.Driver.
func (Network) Capabilities() driver.Capabilities {
	return driver.Capabilities{
		Name:       "zmq network",
		Binds:      driver.Publishes,
		Ordered:    true,
		Resumes:    true,
		Filters:    true,
		Confirms:   true,
		Identifies: true,
		Liveness:   true,
	}
}

// OpenPublisher binds Transport://BindAddress:Port and serves SUB peers.
func (Network) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	return openPublisher(ctx, cfg.WithDefaults())
}

// OpenSubscriber returns a SUB that is connected to nobody yet.
func (Network) OpenSubscriber(_ context.Context, cfg driver.Config) (driver.Subscriber, error) {
	return openSubscriber(cfg.WithDefaults())
}

// IPC is the driver of the IPC hop: PUSH and PULL.
type IPC struct{}

// Capabilities implements driver.Driver.
func (IPC) Capabilities() driver.Capabilities {
	return driver.Capabilities{
		Name:       "zmq ipc",
		Binds:      driver.Subscribes,
		Ordered:    true,
		Identifies: true,
		Liveness:   true,
	}
}

// OpenPublisher returns a PUSH that connects to Socket on the first event.
func (IPC) OpenPublisher(_ context.Context, cfg driver.Config) (driver.Publisher, error) {
	return openPusher(cfg.WithDefaults())
}

// OpenSubscriber binds Socket as PULL.
func (IPC) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	return openPuller(ctx, cfg.WithDefaults())
}
