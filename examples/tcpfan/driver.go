package tcpfan

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	driver.Register(driver.Alias{
		Name:    "tcpfan",
		Network: driver.Part{Driver: Driver{}, Roles: driver.Publishes | driver.Subscribes},
	})
}

// Driver implements driver.Driver.
type Driver struct{}

// Capabilities implements driver.Driver.
func (Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Name: "tcpfan", Binds: driver.Publishes, Ordered: true, Lossy: true, Filters: true}
}

// OpenPublisher implements driver.Driver.
func (Driver) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	cfg = cfg.WithDefaults()
	if err := check(cfg); err != nil {
		return nil, err
	}
	host := cfg.BindAddress
	if host == "*" {
		host = ""
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, err
	}
	return newPublisher(cfg, l), nil
}

// OpenSubscriber implements driver.Driver.
func (Driver) OpenSubscriber(_ context.Context, cfg driver.Config) (driver.Subscriber, error) {
	cfg = cfg.WithDefaults()
	if err := check(cfg); err != nil {
		return nil, err
	}
	return newSubscriber(cfg), nil
}

// check reports what makes no sense in a configuration.
func check(cfg driver.Config) error {
	for name := range cfg.Params {
		return driver.WithHint(fmt.Errorf("unknown parameter %q", name), "this driver has no parameters")
	}
	return nil
}

// parse returns what to dial for a URI.
func parse(uri string) (string, error) {
	address, ok := strings.CutPrefix(uri, "tcp://")
	if ok {
		_, _, err := net.SplitHostPort(address)
		ok = err == nil
	}
	if !ok {
		return "", driver.WithHint(fmt.Errorf("bad address %q", uri), "write tcp://host:port")
	}
	return address, nil
}
