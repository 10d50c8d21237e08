package config

import "github.com/wyvern-pubsub/wyvern/driver"

// Network returns what a driver of the network hop is told, whichever half it
// opens. Its alias is DF.PubSubDriver. Identity and log are the caller's.
func (c *Config) Network() driver.Config {
	d := c.hop()
	d.Transport = c.DF.PublisherTransport
	d.BindAddress = c.DF.PublisherBindAddress
	d.Port = c.DF.PublisherPort
	d.MaxPeers = c.Wyvern.MaxSubscribers
	d.MaxPerAddress = c.Wyvern.MaxPerAddress
	c.tell(&d, c.DF.PubSubDriver)
	return d
}

// IPC returns what a driver of the IPC hop is told, whichever half it opens.
// Its alias is DF.PubSubMultiprocDriver. Identity and log are the caller's.
func (c *Config) IPC() driver.Config {
	d := c.hop()
	d.Socket = c.IPCSocket()
	d.MaxPeers = c.Wyvern.MaxWorkers
	d.AllowUsers = c.Wyvern.WorkerUsers.IDs
	d.AllowAnyUser = c.Wyvern.WorkerUsers.Everybody
	c.tell(&d, c.DF.PubSubMultiprocDriver)
	return d
}

func (c *Config) hop() driver.Config {
	spread := c.Wyvern.ResyncSpread
	if spread == 0 {
		spread = -1 // an option says 0 for what a Go struct can't
	}
	return driver.Config{
		LostAfter:         c.Wyvern.LostAfter,
		ResyncSpread:      spread,
		NoReconnectSync:   !c.Wyvern.ReconnectSync,
		MaxPayload:        int(c.Wyvern.MaxEventSize),
		Retention:         c.Wyvern.Retention,
		Queue:             c.Wyvern.WorkerQueue,
		MaxSubscriptions:  c.Wyvern.MaxSubscriptions,
		HandshakeTimeout:  c.Wyvern.HandshakeTimeout,
		HeartbeatInterval: c.Wyvern.HeartbeatInterval,
		HeartbeatTimeout:  c.Wyvern.HeartbeatTimeout,
		ReconnectMin:      c.Wyvern.ReconnectMin,
		ReconnectMax:      c.Wyvern.ReconnectMax,
	}
}
