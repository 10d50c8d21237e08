package embedded

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/internal/params"
)

func init() {
	driver.Register(driver.Alias{
		Name:    "nats_embedded",
		Network: driver.Part{Driver: Driver{}, Roles: driver.Publishes | driver.Subscribes},
		Group:   nats.Group, Options: nats.Options(),
	})
}

// Driver implements driver.Driver: a publisher runs a NATS server, and
// subscribers connect to it. The zero value works.
type Driver struct{}

// Capabilities implements driver.Driver.
func (Driver) Capabilities() driver.Capabilities {
	c := nats.Driver{}.Capabilities()
	c.Name, c.Binds = "nats embedded", driver.Publishes
	return c
}

// Serves implements driver.Starter.
func (Driver) Serves() string { return "nats" }

// StartServer implements driver.Starter.
func (Driver) StartServer(ctx context.Context, dir string) (servers []string, stop func() error, err error) {
	s, err := Start(ctx, Options{JetStream: true, StoreDir: dir, MaxPayload: demoPayload})
	if err != nil {
		return nil, nil, err
	}
	return []string{s.URL()}, func() error { s.Shutdown(); return nil }, nil
}

// demoPayload is what a server that is nobody's configuration's carries.
const demoPayload = 8 << 20

// OpenPublisher implements driver.Driver.
func (Driver) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	v, err := params.Parse(cfg.Params, nats.Options())
	if err != nil {
		return nil, err
	}
	if cfg.Transport != "" && cfg.Transport != "tcp" {
		return nil, driver.WithHint(errors.New("unknown transport "+cfg.Transport), "this driver has tcp only")
	}
	cfg = cfg.WithDefaults()
	tlsConfig, err := v.TLS()
	if err != nil {
		return nil, err
	}
	if tlsConfig != nil && len(tlsConfig.Certificates) == 0 {
		return nil, driver.WithHint(errors.New("tls without a certificate of the server's"), "set tls_cert and tls_key")
	}
	o := Options{
		Host: cfg.BindAddress, Port: cfg.Port,
		Cluster: v.Text("cluster_name"), JetStream: v.Bool("jetstream"), StoreDir: v.Text("store_dir"),
		User: v.Text("user"), Password: v.Text("password"), Token: v.Text("token"), TLS: tlsConfig,
		MaxPayload: cfg.MaxPayload + 4<<10, StartTimeout: cfg.HandshakeTimeout, Log: cfg.Log,
	}
	if o.Cluster != "" {
		o.ClusterListen = v.Text("cluster_listen")
	}
	for route := range strings.SplitSeq(v.Text("routes"), ",") {
		if route = strings.TrimSpace(route); route != "" {
			o.Routes = append(o.Routes, route)
		}
	}
	s, err := Start(ctx, o)
	if err != nil {
		return nil, err
	}
	half, err := nats.Driver{InProcess: s}.OpenPublisher(ctx, cfg)
	if err != nil {
		s.Shutdown()
		return nil, err
	}
	return &publisher{Publisher: half, server: s}, nil
}

// OpenSubscriber implements driver.Driver.
func (Driver) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	return nats.Driver{Direct: true}.OpenSubscriber(ctx, cfg)
}

// publisher implements driver.Publisher, Bound and Statuser.
type publisher struct {
	driver.Publisher
	server *Server
}

// Addr implements driver.Bound.
func (p *publisher) Addr() net.Addr { return p.server.Addr() }

// Flush implements driver.Publisher: what was accepted has left for all clients
// and servers that take it.
func (p *publisher) Flush(ctx context.Context) error {
	if err := p.Publisher.Flush(ctx); err != nil {
		return err
	}
	return p.server.drain(ctx)
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	err := p.Publisher.Close()
	p.server.Shutdown()
	return err
}

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	s := p.Publisher.(driver.Statuser).Status()
	s.Peers = 0
	if n := p.server.Clients() - 1; n > 0 { // one is ours
		s.Peers = n
	}
	return s
}
