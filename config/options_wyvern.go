package config

import "time"

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// Bounds of durations: below, a program only waits for itself; above, a typing
// error is likelier.
const (
	shortest = 10 * time.Millisecond
	longest  = time.Hour
)

func wyvernOptions() []option {
	return []option{
		define(option{group: "wyvern", name: "publisher_id", byDefault: "",
			help: "The publisher's stable identity. Empty: a UUID made of the host's name. No two services may have the same.",
		}, identityType(), func(c *Config) *string { return &c.Wyvern.PublisherID }),
		define(option{group: "wyvern", name: "retention", byDefault: "64MiB", unit: "bytes",
			help: "How much of the published events is kept for subscribers that are slow or come back.",
		}, sizeType(64*kib, 1024*gib), func(c *Config) *int64 { return &c.Wyvern.Retention }),
		define(option{group: "wyvern", name: "max_event_size", byDefault: "1MiB", unit: "bytes",
			help: "The most that an event may have on the wire. A peer that sends more is disconnected.",
		}, sizeType(kib, 64*mib), func(c *Config) *int64 { return &c.Wyvern.MaxEventSize }),
		define(option{group: "wyvern", name: "heartbeat_interval", byDefault: "1s", unit: "seconds",
			help: "How often an idle connection is probed.",
		}, durationType(shortest, longest), func(c *Config) *time.Duration { return &c.Wyvern.HeartbeatInterval }),
		define(option{group: "wyvern", name: "heartbeat_timeout", byDefault: "3s", unit: "seconds",
			help: "A peer that is silent for longer is gone. Must be greater than heartbeat_interval.",
		}, durationType(shortest, longest), func(c *Config) *time.Duration { return &c.Wyvern.HeartbeatTimeout }),
		define(option{group: "wyvern", name: "lost_after", byDefault: "3.5s", unit: "seconds",
			help: "A publisher without a sign of life, or connection, for so long is gone: nodes resync. Noticed after heartbeat_timeout at the earliest.",
		}, durationType(shortest, longest), func(c *Config) *time.Duration { return &c.Wyvern.LostAfter }),
		define(option{group: "wyvern", name: "resync_spread", byDefault: "1s", unit: "seconds",
			help: "The window over which resyncs of many topics or nodes are spread, so that not all read the database at once. 0: at once.",
		}, durationType(0, longest), func(c *Config) *time.Duration { return &c.Wyvern.ResyncSpread }),
		define(option{group: "wyvern", name: "reconnect_sync", byDefault: "true",
			help: "Tell unmodified ZeroMQ nodes whose connection was made again to sync.",
		}, boolType(), func(c *Config) *bool { return &c.Wyvern.ReconnectSync }),
		define(option{group: "wyvern", name: "handshake_timeout", byDefault: "10s", unit: "seconds",
			help: "A peer that has not finished its handshake after this time is disconnected.",
		}, durationType(shortest, longest), func(c *Config) *time.Duration { return &c.Wyvern.HandshakeTimeout }),
		define(option{group: "wyvern", name: "drain_timeout", byDefault: "30s", unit: "seconds",
			help: "How long a service that is told to stop goes on sending what it accepted. 0: not at all.",
		}, durationType(0, longest), func(c *Config) *time.Duration { return &c.Wyvern.DrainTimeout }),
		define(option{group: "wyvern", name: "max_subscribers", byDefault: "16384",
			help: "The most subscriber connections of a service.",
		}, intType(1, 1<<20), func(c *Config) *int { return &c.Wyvern.MaxSubscribers }),
		define(option{group: "wyvern", name: "max_per_address", byDefault: "0",
			help: "The most subscriber connections from one address; an IPv6 network of 64 bits counts as one. 0: three quarters of max_subscribers.",
		}, intType(0, 1<<20), func(c *Config) *int { return &c.Wyvern.MaxPerAddress }),
		define(option{group: "wyvern", name: "max_workers", byDefault: "1024",
			help: "The most worker connections of a service.",
		}, intType(1, 1<<16), func(c *Config) *int { return &c.Wyvern.MaxWorkers }),
		define(option{group: "wyvern", name: "worker_users", byDefault: "",
			help: "Users whose processes may publish through the IPC socket; * is everybody. The service's own user and root always may.",
		}, usersType(), func(c *Config) *Users { return &c.Wyvern.WorkerUsers }),
		define(option{group: "wyvern", name: "max_subscriptions", byDefault: "100000",
			help: "The most topics that one connection may hold.",
		}, intType(1, 1<<24), func(c *Config) *int { return &c.Wyvern.MaxSubscriptions }),
		define(option{group: "wyvern", name: "worker_queue", byDefault: "4MiB", unit: "bytes",
			help: "What a worker may have queued. At least max_event_size.",
		}, sizeType(kib, 4*gib), func(c *Config) *int64 { return &c.Wyvern.WorkerQueue }),
		define(option{group: "wyvern", name: "reconnect_min", byDefault: "100ms", unit: "seconds",
			help: "The first wait before a lost connection is made again.",
		}, durationType(time.Millisecond, longest), func(c *Config) *time.Duration { return &c.Wyvern.ReconnectMin }),
		define(option{group: "wyvern", name: "reconnect_max", byDefault: "10s", unit: "seconds",
			help: "The longest such wait. At least reconnect_min.",
		}, durationType(time.Millisecond, longest), func(c *Config) *time.Duration { return &c.Wyvern.ReconnectMax }),
		define(option{group: "wyvern", name: "run_directory", byDefault: "",
			help: "Directory of the state file, by which a service hands over to the next one. Empty: that of the IPC socket.",
		}, pathType(), func(c *Config) *string { return &c.Wyvern.RunDirectory }),
		define(option{group: "wyvern", name: "log_level", byDefault: "info",
			help: "The least important level that is logged.",
		}, choiceType("debug", "info", "warning", "error"), func(c *Config) *string { return &c.Wyvern.LogLevel }),
		define(option{group: "wyvern", name: "log_format", byDefault: "text",
			help: "Format of the log.",
		}, choiceType("text", "json"), func(c *Config) *string { return &c.Wyvern.LogFormat }),
	}
}

// A relation must hold between two options of [wyvern].
type relation struct {
	name, must, than string
	holds            func(*Wyvern) bool
}

func relations() []relation {
	return []relation{
		{"heartbeat_timeout", "must be greater than", "heartbeat_interval",
			func(w *Wyvern) bool { return w.HeartbeatTimeout > w.HeartbeatInterval }},
		{"reconnect_min", "must not exceed", "reconnect_max",
			func(w *Wyvern) bool { return w.ReconnectMin <= w.ReconnectMax }},
		// What does not fit could be neither sent nor retained.
		{"max_event_size", "must not exceed", "worker_queue",
			func(w *Wyvern) bool { return w.MaxEventSize <= w.WorkerQueue }},
		{"max_event_size", "must not exceed", "retention",
			func(w *Wyvern) bool { return w.MaxEventSize <= w.Retention }},
	}
}
