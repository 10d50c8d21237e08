package driver

import (
	"io"
	"log/slog"
	"time"
)

// Config is what every driver may need to open one half of itself. Fields that
// mean nothing to a driver are ignored by it; the zero value of each has a
// meaning that works.
type Config struct {
	// ID and Epoch name this process to its peers, where the mechanism has a
	// place for it: a stable identity, and a random number for this
	// incarnation.
	ID    string
	Epoch uint64

	// Transport, BindAddress and Port are where a driver that binds on the
	// network does so; default "tcp", "*", and a free port.
	Transport   string
	BindAddress string
	Port        int
	// Socket is the path where the halves of an IPC driver meet.
	Socket string
	// AllowUsers are the numbers of users whose processes may connect to
	// Socket, besides root and the user of the process that binds it;
	// AllowAnyUser lets every user.
	AllowUsers   []uint32
	AllowAnyUser bool
	// Servers lists where a broker is, for drivers that have one: URLs, or
	// host:port.
	Servers []string

	// AllTopics makes a subscriber take every topic, without Subscribe: the
	// publisher service's side of the IPC hop.
	AllTopics bool

	// MaxPayload bounds one payload in bytes, in both directions; default
	// 1 MiB.
	MaxPayload int
	// Retention is how many bytes of events a publisher keeps for subscribers
	// that are behind, all of them together; default 64 MiB.
	Retention int64
	// Queue is how many bytes a publisher whose peer is absent or slow may
	// hold before Publish blocks; default 4 MiB.
	Queue int64

	// MaxPeers and MaxSubscriptions bound, per half and per peer, what peers
	// may make us keep; defaults 16384 and 100000.
	MaxPeers         int
	MaxSubscriptions int

	// MaxPerAddress bounds the peers that connect from one address of the
	// network; default: three quarters of MaxPeers.
	MaxPerAddress int

	// HandshakeTimeout is how long a peer may take to introduce itself;
	// default 10 s.
	HandshakeTimeout time.Duration
	// HeartbeatInterval and HeartbeatTimeout are how often a quiet peer is
	// asked for a sign of life, and how long it may stay silent; defaults 1 s
	// and 3 s.
	HeartbeatInterval time.Duration
	HeartbeatTimeout  time.Duration
	// ReconnectMin and ReconnectMax bound the growing, jittered delay between
	// attempts to connect; defaults 100 ms and 10 s.
	ReconnectMin time.Duration
	ReconnectMax time.Duration

	// LostAfter is for how long a publisher may give no sign of life before a
	// subscriber is told that it is gone; default 3.5 s. While the handler keeps
	// the subscriber from listening, that is no silence.
	LostAfter time.Duration

	// Resync is a payload that tells a peer to compare itself with the
	// database. A publisher that knows that a peer lost events sends it, once
	// per topic that the peer holds, at that place in its stream. The core
	// sets it.
	Resync []byte
	// ResyncSpread is the window over which resyncs of many topics or many peers
	// are spread, so that not everybody reads the database at once: a
	// subscriber's own, and what a publisher tells peers whose connection was
	// made again; default 1 s. Negative: at once.
	ResyncSpread time.Duration
	// NoReconnectSync: a publisher does not tell peers of other makes to resync
	// when their connection was made again, only when they fell behind.
	NoReconnectSync bool

	// Restore, if set, is what a publisher of the same driver wrote by Save: the
	// new one goes on from there, under the same ID and Epoch. Read while
	// opening only.
	Restore io.Reader
	// Crashed says that another instance ran here before and ended without
	// handing over.
	Crashed bool

	// Params are options that only this driver has, as text from the
	// configuration: see [Option]. One that is missing has its default; an
	// unknown one is an error that names the valid ones.
	Params map[string]string

	// Log receives what happens to peers; default: discarded.
	Log *slog.Logger
}

// WithDefaults returns c with every unset field set to its default.
func (c Config) WithDefaults() Config {
	def := func(p *time.Duration, d time.Duration) {
		if *p <= 0 {
			*p = d
		}
	}
	if c.Transport == "" {
		c.Transport = "tcp"
	}
	if c.BindAddress == "" {
		c.BindAddress = "*"
	}
	if c.MaxPayload <= 0 {
		c.MaxPayload = 1 << 20
	}
	if c.Retention <= 0 {
		c.Retention = 64 << 20
	}
	if c.Queue <= 0 {
		c.Queue = 4 << 20
	}
	if c.MaxPeers <= 0 {
		c.MaxPeers = 16384
	}
	if c.MaxPerAddress <= 0 {
		c.MaxPerAddress = c.MaxPeers - c.MaxPeers/4
	}
	if c.MaxSubscriptions <= 0 {
		c.MaxSubscriptions = 100000
	}
	def(&c.HandshakeTimeout, 10*time.Second)
	def(&c.HeartbeatInterval, time.Second)
	def(&c.HeartbeatTimeout, 3*time.Second)
	def(&c.LostAfter, 3500*time.Millisecond)
	if c.ResyncSpread == 0 {
		c.ResyncSpread = time.Second
	}
	def(&c.ReconnectMin, 100*time.Millisecond)
	def(&c.ReconnectMax, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
