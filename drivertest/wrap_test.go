package drivertest

import (
	"context"
	"net"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// hidden hides Awaiter and Statuser.
type hidden struct{ driver.Driver }

func (d hidden) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	pub, err := d.Driver.OpenPublisher(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return struct {
		driver.Publisher
		driver.Bound
	}{pub, pub.(driver.Bound)}, nil
}

func (d hidden) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	sub, err := d.Driver.OpenSubscriber(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if c, ok := sub.(driver.Connector); ok {
		return struct {
			driver.Subscriber
			driver.Connector
		}{sub, c}, nil
	}
	return struct {
		driver.Subscriber
		driver.Drainer
	}{sub, sub.(driver.Drainer)}, nil
}

// wrapped is a driver with other behaviour in some places. What is nil stays
// as it is.
type wrapped struct {
	driver.Driver
	capabilities func(c *driver.Capabilities)
	open         func(ctx context.Context, cfg *driver.Config)
	publisher    func(p *wrappedPublisher)
	subscriber   func(s *wrappedSubscriber)
	parallel     bool // Harness.Parallel
}

func (d *wrapped) Capabilities() driver.Capabilities {
	c := d.Driver.Capabilities()
	if d.capabilities != nil {
		d.capabilities(&c)
	}
	return c
}

func (d *wrapped) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	if d.open != nil {
		d.open(ctx, &cfg)
	}
	pub, err := d.Driver.OpenPublisher(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p := &wrappedPublisher{inner: pub, publish: pub.Publish, flush: pub.Flush, close: pub.Close}
	if d.publisher != nil {
		d.publisher(p)
	}
	return p, nil
}

func (d *wrapped) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	if d.open != nil {
		d.open(ctx, &cfg)
	}
	sub, err := d.Driver.OpenSubscriber(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &wrappedSubscriber{
		inner: sub, receive: sub.Receive, subscribe: sub.Subscribe, unsubscribe: sub.Unsubscribe, close: sub.Close,
	}
	c, network := sub.(driver.Connector)
	if network {
		s.connect = c.Connect
	} else {
		s.drain = sub.(driver.Drainer).Drain
	}
	if d.subscriber != nil {
		d.subscriber(s)
	}
	if network {
		return networkSubscriber{s, sub.(driver.Awaiter)}, nil
	}
	return ipcSubscriber{s}, nil
}

type wrappedPublisher struct {
	inner   driver.Publisher
	publish func(context.Context, []driver.Message) (int, error)
	flush   func(context.Context) error
	close   func() error
	status  func(*driver.Status)
}

func (p *wrappedPublisher) Publish(ctx context.Context, msgs []driver.Message) (int, error) {
	return p.publish(ctx, msgs)
}
func (p *wrappedPublisher) Flush(ctx context.Context) error { return p.flush(ctx) }
func (p *wrappedPublisher) Close() error                    { return p.close() }
func (p *wrappedPublisher) Addr() net.Addr                  { return p.inner.(driver.Bound).Addr() }
func (p *wrappedPublisher) Status() driver.Status {
	st := p.inner.(driver.Statuser).Status()
	if p.status != nil {
		p.status(&st)
	}
	return st
}

type wrappedSubscriber struct {
	inner       driver.Subscriber
	receive     func(context.Context, []driver.Message) (int, error)
	subscribe   func(context.Context, ...string) error
	unsubscribe func(context.Context, ...string) error
	connect     func(string) error
	drain       func()
	close       func() error
}

func (s *wrappedSubscriber) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return s.receive(ctx, dst)
}
func (s *wrappedSubscriber) Subscribe(ctx context.Context, topics ...string) error {
	return s.subscribe(ctx, topics...)
}
func (s *wrappedSubscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	return s.unsubscribe(ctx, topics...)
}
func (s *wrappedSubscriber) Close() error { return s.close() }

type networkSubscriber struct {
	*wrappedSubscriber
	driver.Awaiter
}

func (s networkSubscriber) Connect(uri string) error { return s.connect(uri) }
func (s networkSubscriber) Disconnect(uri string) error {
	return s.inner.(driver.Connector).Disconnect(uri)
}

type ipcSubscriber struct{ *wrappedSubscriber }

func (s ipcSubscriber) Drain() { s.drain() }
