package config

import (
	"reflect"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// Every option that a driver may be told reaches the hop that it is for.
func TestHops(t *testing.T) {
	c, err := Load(Sources{Sets: []string{
		"df.publisher_transport=ipc", "df.publisher_bind_address=192.0.2.1", "df.publisher_port=9000",
		"df.publisher_multiproc_socket=/run/w/s",
		"wyvern.max_event_size=2KiB", "wyvern.retention=3MiB", "wyvern.worker_queue=4KiB",
		"wyvern.max_subscribers=5", "wyvern.max_workers=6", "wyvern.max_per_address=4", "wyvern.max_subscriptions=7",
		"wyvern.handshake_timeout=8s", "wyvern.heartbeat_interval=9s", "wyvern.heartbeat_timeout=10s",
		"wyvern.reconnect_min=11s", "wyvern.reconnect_max=12s", "wyvern.worker_users=root,13,*",
		"wyvern.lost_after=13s", "wyvern.resync_spread=0", "wyvern.reconnect_sync=false",
	}})
	if err != nil {
		t.Fatal(err)
	}
	both := driver.Config{
		MaxPayload: 2 << 10, Retention: 3 << 20, Queue: 4 << 10, MaxSubscriptions: 7,
		HandshakeTimeout: 8 * time.Second, HeartbeatInterval: 9 * time.Second, HeartbeatTimeout: 10 * time.Second,
		ReconnectMin: 11 * time.Second, ReconnectMax: 12 * time.Second,
		LostAfter: 13 * time.Second, ResyncSpread: -1, NoReconnectSync: true,
	}
	network, ipc := both, both
	network.Transport, network.BindAddress, network.Port, network.MaxPeers = "ipc", "192.0.2.1", 9000, 5
	network.MaxPerAddress = 4
	ipc.Socket, ipc.MaxPeers = "/run/w/s", 6
	ipc.AllowUsers, ipc.AllowAnyUser = []uint32{0, 13}, true
	for _, tt := range []struct {
		name      string
		got, want driver.Config
	}{{"network", c.Network(), network}, {"ipc", c.IPC(), ipc}} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
}
