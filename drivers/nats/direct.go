package nats

import (
	"fmt"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// directSubscriber adds driver.Connector.
type directSubscriber struct{ *subscriber }

func newDirectSubscriber(s *settings) driver.Subscriber {
	return directSubscriber{newSubscriber(s)}
}

// Connect implements driver.Connector.
func (d directSubscriber) Connect(uri string) error {
	server, err := checkServer(uri)
	if err != nil {
		return err
	}
	if !strings.Contains(uri, "://") {
		return driver.WithHint(fmt.Errorf("bad address %q", uri), "write nats://host:port or tcp://host:port")
	}
	l, err := newLink(d.settings, []string{server}, nil)
	if err != nil {
		return err
	}
	l.options.IgnoreDiscoveredServers = true // each publisher's server has a link of its own
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		l.stop()
		return driver.ErrClosed
	case d.feeds[server] != nil:
		l.stop()
		return nil
	}
	f := d.newFeed(l, uri)
	f.others = true
	d.feeds[server] = f
	l.background()
	return nil
}

// Disconnect implements driver.Connector.
func (d directSubscriber) Disconnect(uri string) error {
	server, err := checkServer(uri)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	f := d.feeds[server]
	delete(d.feeds, server)
	d.mu.Unlock()
	if f != nil {
		f.close()
	}
	return nil
}
