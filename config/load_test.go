package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	c := mustLoad(t, Sources{})
	want := &Config{
		DF: DF{
			PubSubDriver:                  "zmq_pubsub_driver",
			PubSubMultiprocDriver:         "zmq_pubsub_multiproc_driver",
			PubSubUseMultiproc:            true,
			PublishersIPs:                 []string{"127.0.0.1"},
			PublisherPort:                 8866,
			PublisherTransport:            "tcp",
			PublisherBindAddress:          "*",
			PublisherMultiprocSocket:      "/var/run/zmq_pubsub/zmq-publisher-socket",
			PublisherTimeout:              300 * time.Second,
			PublisherRateLimitCount:       1,
			PublisherRateLimitTimeout:     180 * time.Second,
			MonitorTables:                 []string{"chassis"},
			MonitorTablePollTime:          30 * time.Second,
			DBSyncTime:                    120 * time.Second,
			LocalIP:                       "127.0.0.1",
			ManagementIP:                  "127.0.0.1",
			NBDBClass:                     "etcd_nb_db_driver",
			RemoteDBIP:                    "127.0.0.1",
			RemoteDBPort:                  4001,
			RemoteDBHosts:                 []string{"127.0.0.1:4001"},
			NeutronNotifier:               "nb_api_neutron_notifier_driver",
			NeutronListenerReportInterval: 25 * time.Second,
			NeutronListenerReportDelay:    10 * time.Second,
		},
		DFZMQ: DFZMQ{IPCSocket: "/var/run/zmq_pubsub/zmq-publisher-socket"},
		Wyvern: Wyvern{
			Retention:         64 << 20,
			MaxEventSize:      1 << 20,
			HeartbeatInterval: time.Second,
			HeartbeatTimeout:  3 * time.Second,
			LostAfter:         3500 * time.Millisecond,
			ResyncSpread:      time.Second,
			ReconnectSync:     true,
			HandshakeTimeout:  10 * time.Second,
			DrainTimeout:      30 * time.Second,
			MaxSubscribers:    16384,
			MaxWorkers:        1024,
			MaxSubscriptions:  100000,
			WorkerQueue:       4 << 20,
			ReconnectMin:      100 * time.Millisecond,
			ReconnectMax:      10 * time.Second,
			LogLevel:          "info",
			LogFormat:         "text",
		},
		sources: map[key]string{},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestFirstGeneration(t *testing.T) {
	c := mustLoad(t, Sources{Files: []string{testdata(t, "dragonflow-first.ini")}})
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
	want := mustLoad(t, Sources{}).DF
	want.EnableDFPubSub = true
	want.IsMonitorTables = true
	want.PublisherMultiprocSocket = "/var/run/zmq_pubsub/neutron-socket"
	want.PublishersIPs = []string{"192.0.2.11", "192.0.2.12", "192.0.2.11"}
	want.LocalIP = "192.0.2.11"
	want.ManagementIP = "192.0.2.11"
	want.MonitorTablePollTime = 7500 * time.Millisecond
	want.RemoteDBIP = "192.0.2.21"
	want.RemoteDBPort = 2379
	want.RemoteDBHosts = []string{"192.0.2.21:2379"}
	if !reflect.DeepEqual(c.DF, want) {
		t.Errorf("got  %+v\nwant %+v", c.DF, want)
	}
	if got, want := c.IPCSocket(), "/var/run/zmq_pubsub/neutron-socket"; got != want {
		t.Errorf("IPCSocket: got %q, want %q", got, want)
	}
	if got, want := strings.Join(c.PublisherURIs(), " "), "tcp://192.0.2.11:8866 tcp://192.0.2.12:8866"; got != want {
		t.Errorf("PublisherURIs: got %q, want %q", got, want)
	}
}

func TestSecondGeneration(t *testing.T) {
	c := mustLoad(t, Sources{Files: []string{testdata(t, "neutron-second.conf"), testdata(t, "dragonflow-second.ini")}})
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
	want := mustLoad(t, Sources{})
	want.DF.EnableDFPubSub = true
	want.DF.IsMonitorTables = true
	want.DF.NBDBClass = "redis_nb_db_driver"
	want.DF.RemoteDBHosts = []string{"192.0.2.21:2379", "192.0.2.22:2379", "[2001:db8::23]:2379"}
	want.DF.PublishersIPs = []string{"2001:db8::11", "ctl2.example.org"}
	want.DF.LocalIP = "192.0.2.31"
	want.DF.ManagementIP = "198.51.100.31"
	want.DF.EnableSelectiveTopologyDistribution = true
	want.DF.EnableNeutronNotifier = true
	want.DFZMQ.IPCSocket = "/run/zmq_pubsub/publisher"
	want.Wyvern.Retention = 256 << 20
	want.Wyvern.HeartbeatTimeout = 4500 * time.Millisecond
	want.sources = c.sources
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if got, want := c.IPCSocket(), "/run/zmq_pubsub/publisher"; got != want {
		t.Errorf("IPCSocket: got %q, want %q", got, want)
	}
	if got, want := strings.Join(c.PublisherURIs(), " "), "tcp://[2001:db8::11]:8866 tcp://ctl2.example.org:8866"; got != want {
		t.Errorf("PublisherURIs: got %q, want %q", got, want)
	}
}

func TestIPCSocket(t *testing.T) {
	const both = `x.ini:2: [df] publisher_multiproc_socket = "/a" is ignored, because [df_zmq] ipc_socket = "/b" (x.ini:4)`
	tests := []struct {
		name, text, want, warning string
	}{
		{"neither", "", defaultSocket, ""},
		{"first generation", "[df]\npublisher_multiproc_socket = /a\n", "/a", ""},
		{"second generation", "[df_zmq]\nipc_socket = /b\n", "/b", ""},
		{"both, the same", "[df]\npublisher_multiproc_socket = /a\n[df_zmq]\nipc_socket = /a\n", "/a", ""},
		{"both", "[df]\npublisher_multiproc_socket = /a\n[df_zmq]\nipc_socket = /b\n", "/b", both},
		{"the second set to its default", "[df]\npublisher_multiproc_socket = /a\n[df_zmq]\nipc_socket = " + defaultSocket + "\n",
			defaultSocket, strings.Replace(both, "/b", defaultSocket, 1)},
		{"the first set to its default", "[df]\npublisher_multiproc_socket = " + defaultSocket + "\n", defaultSocket, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadText(t, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.IPCSocket(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := strings.Join(c.Warnings, "\n"); got != tt.warning {
				t.Errorf("warnings:\n got %q\nwant %q", got, tt.warning)
			}
		})
	}
	t.Run("made by hand", func(t *testing.T) {
		first := &Config{DF: DF{PublisherMultiprocSocket: "/a"}}
		second := &Config{DFZMQ: DFZMQ{IPCSocket: "/b"}}
		if first.IPCSocket() != "/a" || second.IPCSocket() != "/b" {
			t.Errorf("got %q and %q", first.IPCSocket(), second.IPCSocket())
		}
	})
}

func TestRelations(t *testing.T) {
	tests := []struct {
		name, text string
		sets       []string
		want       []string
	}{
		{"timeout of the interval's length", "[wyvern]\nheartbeat_timeout = 1\n", nil,
			[]string{"x.ini:2: [wyvern] heartbeat_timeout = 1s must be greater than heartbeat_interval = 1s (default)"}},
		{"only the other was set", "[wyvern]\nheartbeat_interval = 5s\n", nil,
			[]string{"x.ini:2: [wyvern] heartbeat_timeout = 3s (default) must be greater than heartbeat_interval = 5s"}},
		{"both were set", "[wyvern]\nreconnect_min = 2s\n", []string{"wyvern.reconnect_max=1s"},
			[]string{"x.ini:2: [wyvern] reconnect_min = 2s must not exceed reconnect_max = 1s (--set)"}},
		{"equal is not more", "[wyvern]\nreconnect_min = 2s\nreconnect_max = 2s\nmax_event_size = 4MiB\nretention = 4MiB\n", nil, nil},
		{"event and queue", "[wyvern]\nmax_event_size = 5MiB\n", nil,
			[]string{"x.ini:2: [wyvern] max_event_size = 5MiB must not exceed worker_queue = 4MiB (default)"}},
		{"event and retention", "[wyvern]\nretention = 512KiB\n", nil,
			[]string{"x.ini:2: [wyvern] max_event_size = 1MiB (default) must not exceed retention = 512KiB"}},
		{"not when one is bad", "[wyvern]\nheartbeat_timeout = never\nheartbeat_interval = 50m\n", nil,
			[]string{`x.ini:2: [wyvern] heartbeat_timeout = "never": not a duration (10ms..1h, in seconds or with ms, s, m, h)`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inTempDir(t)
			_, err := Load(Sources{Files: []string{write(t, "x.ini", tt.text)}, Sets: tt.sets})
			wantErrors(t, err, tt.want...)
		})
	}
}

// A name that no user of this host has is a mistake of the file's, not of the
// worker's that is refused later.
func TestC8UnknownUser(t *testing.T) {
	_, err := loadText(t, "[wyvern]\nworker_users = root,\n no-such-user\n")
	wantErrors(t, err, `x.ini:2: [wyvern] worker_users = "root,\nno-such-user": "no-such-user" is not one of users of this host, by name or number, or *`)
}

// Every mistake is reported, whichever source it is in.
func TestAllErrorsAtOnce(t *testing.T) {
	inTempDir(t)
	write(t, "x.ini", "[df]\npublisher_port = http\nlocal_ip\n[wyvern]\nfoo = 1\n")
	_, err := Load(Sources{
		Files: []string{"no.ini", "x.ini"},
		Dirs:  []string{"no.d"},
		Env:   []string{"WYVERN_DF__MANAGEMENT_IP=x"},
		Sets:  []string{"df.y=1", "wyvern.log_level=loud"},
	})
	wantErrors(t, err,
		"no.ini: no such file or directory",
		"x.ini:3: neither [group] nor option = value",
		"x.ini:5: [wyvern] has no option foo; its options are "+strings.Join(newLoader(options(), sections()).names("wyvern"), ", "),
		"no.d: no such file or directory",
		"--set: [df] has no option y",
		`x.ini:2: [df] publisher_port = "http": not a port (0..65535)`,
		`environment WYVERN_DF__MANAGEMENT_IP: [df] management_ip = "x": not an IP address`,
		`--set: [wyvern] log_level = "loud": not one of debug, info, warning, error`,
	)
}

// A value that a later source replaces is not checked, as in oslo.config.
func TestReplacedValuesAreNotChecked(t *testing.T) {
	inTempDir(t)
	c := mustLoad(t, Sources{
		Files: []string{write(t, "x.ini", "[df]\npublisher_port = http\n")},
		Sets:  []string{"df.publisher_port=1"},
	})
	if c.DF.PublisherPort != 1 {
		t.Errorf("got %d", c.DF.PublisherPort)
	}
}

func TestPubSubMayBeOff(t *testing.T) {
	c := mustLoad(t, Sources{Sets: []string{"df.enable_df_pub_sub=false", "df.is_monitor_tables=true"}})
	if c.DF.EnableDFPubSub || !c.DF.IsMonitorTables || len(c.Warnings) > 0 {
		t.Errorf("got %+v", c)
	}
}
