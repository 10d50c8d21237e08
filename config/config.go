package config

import (
	"cmp"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Config is the effective configuration. Load makes one; the zero value has
// no defaults in it.
type Config struct {
	DF     DF     // group [df]
	DFZMQ  DFZMQ  // group [df_zmq]
	Wyvern Wyvern // group [wyvern]
	// Drivers are the groups [wyvern_<name>], by name, of the drivers that are
	// linked into the program: the text of each option.
	Drivers map[string]map[string]string

	// Warnings are what the person who wrote the configuration should hear
	// of, though it does not stop the start. One line each.
	Warnings []string

	// sources holds where each option was set; one that is missing has its
	// default.
	sources map[key]string
}

// DF is group [df]: Dragonflow's options, as far as a publisher service, a
// worker or a node uses them. "First generation" is Dragonflow up to mid 2018.
type DF struct {
	// EnableDFPubSub: use this publish-subscribe instead of the database's
	// own notification (default false).
	EnableDFPubSub bool
	// PubSubDriver is the alias of the network driver (default
	// zmq_pubsub_driver).
	PubSubDriver string
	// PubSubMultiprocDriver is the alias of the IPC driver (default
	// zmq_pubsub_multiproc_driver). First generation.
	PubSubMultiprocDriver string
	// PubSubUseMultiproc: workers publish through the publisher service
	// (default true). First generation.
	PubSubUseMultiproc bool
	// PublishersIPs are addresses or host names that a node subscribes to,
	// besides those in the registry; IPv6 without brackets (default
	// $local_ip).
	PublishersIPs []string
	// PublisherPort is the port that the network publisher binds and that
	// subscribers connect to (default 8866).
	PublisherPort int
	// PublisherTransport is the scheme of a publisher's URI (default tcp).
	PublisherTransport string
	// PublisherBindAddress is the local address to bind, IPv6 without
	// brackets; * is all (default *).
	PublisherBindAddress string
	// PublisherMultiprocSocket is where the IPC halves meet (default
	// /var/run/zmq_pubsub/zmq-publisher-socket). First generation; use
	// IPCSocket.
	PublisherMultiprocSocket string
	// PublisherTimeout: a row of the registry that is idle for longer is
	// removed (default 300 s).
	PublisherTimeout time.Duration
	// PublisherRateLimitCount is how many refreshes of the row there may be
	// in PublisherRateLimitTimeout (default 1).
	PublisherRateLimitCount int
	// PublisherRateLimitTimeout: see PublisherRateLimitCount (default 180 s).
	PublisherRateLimitTimeout time.Duration
	// IsMonitorTables: run the table monitors (default $enable_df_pub_sub).
	// First generation.
	IsMonitorTables bool
	// MonitorTables are the tables polled for changes that no worker
	// announced (default chassis).
	MonitorTables []string
	// MonitorTablePollTime is how often they are polled (default 30 s).
	MonitorTablePollTime time.Duration
	// DBSyncTime: a node compares itself with the database at least this
	// often (default 120 s).
	DBSyncTime time.Duration
	// EnableSelectiveTopologyDistribution: publish on the object's topic, its
	// tenant, instead of D (default false).
	EnableSelectiveTopologyDistribution bool
	// LocalIP is this host's tunnel address (default 127.0.0.1).
	LocalIP string
	// ManagementIP is what a service that binds * or 127.0.0.1 registers in
	// its URI (default 127.0.0.1).
	ManagementIP string
	// NBDBClass is the alias of the database driver (default
	// etcd_nb_db_driver).
	NBDBClass string
	// RemoteDBIP is what RemoteDBHosts is made of unless it is set (default
	// 127.0.0.1).
	RemoteDBIP string
	// RemoteDBPort is what RemoteDBHosts is made of unless it is set (default
	// 4001).
	RemoteDBPort int
	// RemoteDBHosts are the database's servers as host:port, IPv6 in brackets
	// (default $remote_db_ip:$remote_db_port).
	RemoteDBHosts []string
	// EnableNeutronNotifier: nodes publish back to the API servers, on topic
	// listener_<host> (default false).
	EnableNeutronNotifier bool
	// NeutronNotifier is the alias of the driver for that (default
	// nb_api_neutron_notifier_driver).
	NeutronNotifier string
	// NeutronListenerReportInterval is the heartbeat of such a listener
	// (default 25 s).
	NeutronListenerReportInterval time.Duration
	// NeutronListenerReportDelay is the most that is added to a heartbeat, at
	// random (default 10 s).
	NeutronListenerReportDelay time.Duration
}

// DFZMQ is group [df_zmq]: Dragonflow's options of its second generation's
// ZeroMQ driver.
type DFZMQ struct {
	// IPCSocket is where the IPC halves meet (default
	// /var/run/zmq_pubsub/zmq-publisher-socket). Second generation; use
	// Config.IPCSocket.
	IPCSocket string
}

// Wyvern is group [wyvern]: what Dragonflow has no option for.
type Wyvern struct {
	// PublisherID is the publisher's stable identity (default empty: made of
	// the host's name); use Config.PublisherID.
	PublisherID string
	// Retention is how many bytes of published events are kept for
	// subscribers that are slow or come back (default 64MiB).
	Retention int64
	// MaxEventSize is the most bytes that an event may have on the wire
	// (default 1MiB).
	MaxEventSize int64
	// HeartbeatInterval is how often an idle connection is probed (default
	// 1s).
	HeartbeatInterval time.Duration
	// HeartbeatTimeout: a peer that is silent for longer is gone (default 3s).
	HeartbeatTimeout time.Duration
	// LostAfter is how long a publisher may give no sign of life, or have no
	// connection, before nodes resync (default 3.5s).
	LostAfter time.Duration
	// ResyncSpread is the window over which resyncs are spread
	// (default 1s). 0: at once.
	ResyncSpread time.Duration
	// ReconnectSync: unmodified ZeroMQ nodes are told to sync when their
	// connection was made again (default true).
	ReconnectSync bool
	// HandshakeTimeout: a peer that is not ready after it is refused (default
	// 10s).
	HandshakeTimeout time.Duration
	// DrainTimeout is how long a service that is told to stop goes on sending
	// what it accepted; 0 is not at all (default 30s).
	DrainTimeout time.Duration
	// MaxSubscribers is the most subscriber connections (default 16384).
	MaxSubscribers int
	// MaxPerAddress is the most subscriber connections from one address
	// (default 0: three quarters of MaxSubscribers).
	MaxPerAddress int
	// MaxWorkers is the most worker connections (default 1024).
	MaxWorkers int
	// WorkerUsers are the users whose processes may publish through the IPC
	// socket (default empty: the service's own and root, who always may).
	WorkerUsers Users
	// MaxSubscriptions is the most topics of one connection (default 100000).
	MaxSubscriptions int
	// WorkerQueue is the most bytes that a worker may have queued (default
	// 4MiB).
	WorkerQueue int64
	// ReconnectMin is the first wait before a connection is made again
	// (default 100ms).
	ReconnectMin time.Duration
	// ReconnectMax is the longest such wait (default 10s).
	ReconnectMax time.Duration
	// RunDirectory is where the state file lives (default empty: beside
	// the IPC socket).
	RunDirectory string
	// LogLevel is debug, info, warning or error (default info).
	LogLevel string
	// LogFormat is text or json (default text).
	LogFormat string
}

// StateFile returns the path of the file by which a publisher service hands
// over to the next one: named like the IPC socket, in RunDirectory.
func (c *Config) StateFile() string {
	socket := c.IPCSocket()
	if socket == "" {
		return ""
	}
	return filepath.Join(cmp.Or(c.Wyvern.RunDirectory, filepath.Dir(socket)), filepath.Base(socket)+".state")
}

// IPCSocket returns the path of the socket where the IPC halves meet:
// [df_zmq] ipc_socket or [df] publisher_multiproc_socket, whichever was set;
// the former if both were.
func (c *Config) IPCSocket() string {
	if _, set := c.sources[keyIPCSocket]; set || c.DF.PublisherMultiprocSocket == "" {
		return c.DFZMQ.IPCSocket
	}
	if _, set := c.sources[keyMultiprocSocket]; set || c.DFZMQ.IPCSocket == "" {
		return c.DF.PublisherMultiprocSocket
	}
	return c.DFZMQ.IPCSocket
}

// PublisherURIs returns the URIs that a node subscribes to, besides those in
// the registry: [df] publishers_ips, each as transport://address:port. An
// address that is listed twice comes once.
func (c *Config) PublisherURIs() []string {
	port := strconv.Itoa(c.DF.PublisherPort)
	var uris []string
	for _, ip := range c.DF.PublishersIPs {
		uri := c.DF.PublisherTransport + "://" + net.JoinHostPort(ip, port)
		if !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
	}
	return uris
}
