package config

import (
	"strings"
	"testing"
)

// TestValues sets one option through a flag and reads it back: every type, at
// its edges. An empty want means that the value is refused.
func TestValues(t *testing.T) {
	const (
		port    = "not a port (0..65535)"
		boolean = "not a boolean (true, 1, yes, on, or false, 0, no, off)"
		count   = "not a whole number (1..1048576)"
		seconds = "not a whole number of seconds (1..2147483647)"
		float   = "not a number of seconds (above 0, up to 2147483647)"
		size    = "not a size (1KiB..64MiB, in bytes or with KiB, MiB, GiB, k, M, G)"
		length  = "not a duration (10ms..1h, in seconds or with ms, s, m, h)"
		ip      = "not an IP address"
		hosts   = "is not one of IP addresses and host names"
		pairs   = "is not one of host:port pairs"
		socket  = "not a socket's path (1..107 bytes, not a URI)"
		users   = "is not one of users of this host, by name or number, or *"
		level   = "not one of debug, info, warning, error"
	)
	tests := []struct {
		option, text, want, err string
	}{
		{"df.publisher_port", "0", "0", ""},
		{"df.publisher_port", "65535", "65535", ""},
		{"df.publisher_port", " 0080 ", "80", ""},
		{"df.publisher_port", "65536", "", port},
		{"df.publisher_port", "-1", "", port},
		{"df.publisher_port", "http", "", port},
		{"df.publisher_port", "", "", port},

		{"df.enable_df_pub_sub", "TRUE", "true", ""},
		{"df.enable_df_pub_sub", "1", "true", ""},
		{"df.enable_df_pub_sub", "Yes", "true", ""},
		{"df.enable_df_pub_sub", "on", "true", ""},
		{"df.pub_sub_use_multiproc", "False", "false", ""},
		{"df.pub_sub_use_multiproc", "0", "false", ""},
		{"df.pub_sub_use_multiproc", "NO", "false", ""},
		{"df.pub_sub_use_multiproc", "oFF", "false", ""},
		{"df.enable_df_pub_sub", "y", "", boolean},
		{"df.enable_df_pub_sub", "2", "", boolean},
		{"df.enable_df_pub_sub", "", "", boolean},

		{"df.publisher_rate_limit_count", "1048576", "1048576", ""},
		{"df.publisher_rate_limit_count", "0", "", count},
		{"df.publisher_rate_limit_count", "1.5", "", count},
		{"df.publisher_rate_limit_count", "99999999999999999999", "", count},

		{"df.publisher_timeout", "1", "1", ""},
		{"df.publisher_timeout", "2147483647", "2147483647", ""},
		{"df.publisher_timeout", "0", "", seconds},
		{"df.publisher_timeout", "2147483648", "", seconds},
		{"df.publisher_timeout", "5m", "", seconds},
		{"df.db_sync_time", "0", "0", ""},

		{"df.monitor_table_poll_time", "0.25", "0.25", ""},
		{"df.monitor_table_poll_time", "1e2", "100", ""},
		{"df.monitor_table_poll_time", "0", "", float},
		{"df.monitor_table_poll_time", "1e-12", "", float},
		{"df.monitor_table_poll_time", "-3", "", float},
		{"df.monitor_table_poll_time", "nan", "", float},
		{"df.monitor_table_poll_time", "inf", "", float},

		{"wyvern.max_event_size", "1024", "1KiB", ""},
		{"wyvern.max_event_size", "1025", "1025", ""},
		{"wyvern.max_event_size", "2 MiB", "2MiB", ""},
		{"wyvern.max_event_size", "3mib", "3MiB", ""},
		{"wyvern.max_event_size", "2k", "2000", ""},
		{"wyvern.max_event_size", "2K", "2000", ""},
		{"wyvern.max_event_size", "2M", "2000000", ""},
		{"wyvern.max_event_size", "1KiB", "1KiB", ""},
		{"wyvern.retention", "1G", "1000000000", ""},
		{"wyvern.retention", "1024GiB", "1024GiB", ""},
		{"wyvern.max_event_size", "1023", "", size},
		{"wyvern.max_event_size", "65MiB", "", size},
		{"wyvern.max_event_size", "9223372036854775807GiB", "", size},
		{"wyvern.max_event_size", "17179869184GiB", "", size},                                                              // 2^64 bytes
		{"wyvern.retention", "17179869185GiB", "", "not a size (64KiB..1024GiB, in bytes or with KiB, MiB, GiB, k, M, G)"}, // 2^64 bytes and 1 GiB
		{"wyvern.max_event_size", "-1", "", size},
		{"wyvern.max_event_size", "1.5MiB", "", size},
		{"wyvern.max_event_size", "MiB", "", size},
		{"wyvern.max_event_size", "1TiB", "", size},
		{"wyvern.max_event_size", "", "", size},

		{"wyvern.handshake_timeout", "1.5s", "1.5s", ""},
		{"wyvern.handshake_timeout", "1.5", "1.5s", ""},
		{"wyvern.handshake_timeout", "90", "1m30s", ""},
		{"wyvern.handshake_timeout", "600s", "10m", ""},
		{"wyvern.handshake_timeout", "60m", "1h", ""},
		{"wyvern.handshake_timeout", "10ms", "10ms", ""},
		{"wyvern.handshake_timeout", "9ms", "", length},
		{"wyvern.handshake_timeout", "1h1s", "", length},
		{"wyvern.handshake_timeout", "soon", "", length},
		{"wyvern.handshake_timeout", "1 s", "", length},
		{"wyvern.handshake_timeout", "1e300", "", length},
		{"wyvern.drain_timeout", "0", "0s", ""},
		{"wyvern.reconnect_min", "1ms", "1ms", ""},

		{"df.local_ip", "2001:db8::1", "2001:db8::1", ""},
		{"df.local_ip", "10.0.0.300", "", ip},
		{"df.local_ip", "fe80::1%eth0", "", ip},
		{"df.local_ip", "ctl1", "", ip},
		{"df.local_ip", "", "", ip},

		{"df.publishers_ips", "10.0.0.1, 10.0.0.2,", "10.0.0.1,10.0.0.2", ""},
		{"df.publishers_ips", "10.0.0.1,\n10.0.0.2", "10.0.0.1,10.0.0.2", ""},
		{"df.publishers_ips", "[2001:db8::1],fe80::1%eth0", "2001:db8::1,fe80::1%eth0", ""},
		{"df.publishers_ips", "ctl-1.example_x.org.,ctl1", "ctl-1.example_x.org.,ctl1", ""},
		{"df.publishers_ips", "", "", ""},
		{"df.publishers_ips", " ,, ", "", ""},
		{"df.publishers_ips", "10.0.0.1,,10.0.0.2", "", `"" ` + hosts},
		{"df.publishers_ips", "10.0.0.1,10.0.0.300", "", `"10.0.0.300" ` + hosts},
		{"df.publishers_ips", "tcp://10.0.0.1:8866", "", `"tcp://10.0.0.1:8866" ` + hosts},
		{"df.publishers_ips", "-ctl", "", `"-ctl" ` + hosts},
		{"df.publishers_ips", "[10.0.0.1]", "", `"[10.0.0.1]" ` + hosts},
		{"df.publishers_ips", "10.0.0.1 10.0.0.2", "", `"10.0.0.1 10.0.0.2" ` + hosts},

		{"df.remote_db_hosts", "10.0.0.1:2379,db.example.org:2379", "10.0.0.1:2379,db.example.org:2379", ""},
		{"df.remote_db_hosts", "[2001:db8::1]:2379,2001:db8::2:2379", "[2001:db8::1]:2379,[2001:db8::2]:2379", ""},
		{"df.remote_db_hosts", "10.0.0.1", "", `"10.0.0.1" ` + pairs},
		{"df.remote_db_hosts", "10.0.0.1:65536", "", `"10.0.0.1:65536" ` + pairs},
		{"df.remote_db_hosts", ":2379", "", `":2379" ` + pairs},
		{"df.remote_db_hosts", "http://10.0.0.1:2379", "", `"http://10.0.0.1:2379" ` + pairs},

		{"df.monitor_tables", "chassis, publisher", "chassis,publisher", ""},
		{"df.monitor_tables", "chassis publisher", "", `"chassis publisher" is not one of tables`},

		{"df.publisher_transport", "epgm", "epgm", ""},
		{"df.publisher_transport", "tcp://", "", "not a transport (the scheme of a URI, such as tcp)"},
		{"df.publisher_transport", "", "", "not a transport (the scheme of a URI, such as tcp)"},
		{"df.publisher_transport", "9p", "", "not a transport (the scheme of a URI, such as tcp)"},

		{"df.publisher_bind_address", "eth0.100", "eth0.100", ""},
		{"df.publisher_bind_address", "[::]", "::", ""},
		{"df.publisher_bind_address", "", "", "not a local address, interface or *"},
		{"df.publisher_bind_address", "tcp://*", "", "not a local address, interface or *"},

		{"df.pub_sub_driver", "shm", "shm", ""},
		{"df.pub_sub_driver", "", "", "not a name without white space"},
		{"df.pub_sub_driver", "a b", "", "not a name without white space"},

		{"df_zmq.ipc_socket", "/" + strings.Repeat("a", 106), "/" + strings.Repeat("a", 106), ""},
		{"df_zmq.ipc_socket", "/" + strings.Repeat("a", 107), "", socket},
		{"df_zmq.ipc_socket", "ipc:///run/x", "", socket},
		{"df_zmq.ipc_socket", "", "", socket},

		{"wyvern.worker_users", "", "", ""},
		{"wyvern.worker_users", "root", "root", ""},
		{"wyvern.worker_users", " root, 65534 ,", "root,65534", ""},
		{"wyvern.worker_users", "*", "*", ""},
		{"wyvern.worker_users", "root,*", "root,*", ""},
		{"wyvern.worker_users", "4294967294", "4294967294", ""},
		{"wyvern.worker_users", "4294967295", "", `"4294967295" ` + users},
		{"wyvern.worker_users", "4294967296", "", `"4294967296" ` + users},
		{"wyvern.worker_users", "-1", "", `"-1" ` + users},
		{"wyvern.worker_users", "root,no-such-user", "", `"no-such-user" ` + users},
		{"wyvern.worker_users", "root root", "", `"root root" ` + users},

		{"wyvern.publisher_id", "ctl1", "ctl1", ""},
		{"wyvern.publisher_id", "", "", ""},
		{"wyvern.publisher_id", "ctl 1", "", "not an identity (at most 255 bytes, no white space)"},
		{"wyvern.publisher_id", "ctl\x07", "", "not an identity (at most 255 bytes, no white space)"},
		{"wyvern.publisher_id", strings.Repeat("a", 256), "", "not an identity (at most 255 bytes, no white space)"},
		{"wyvern.run_directory", "/run/wyvern", "/run/wyvern", ""},
		{"wyvern.run_directory", "a\x00b", "", "not a path"},
		{"wyvern.log_level", "WARNING", "warning", ""},
		{"wyvern.log_level", "warn", "", level},
		{"wyvern.log_level", "", "", level},
		{"wyvern.log_format", "json", "json", ""},
		{"wyvern.log_format", "xml", "", "not one of text, json"},
		{"wyvern.max_subscribers", "0", "", count},
	}
	for _, tt := range tests {
		t.Run(tt.option+"="+abbreviate(tt.text), func(t *testing.T) {
			c, err := Load(Sources{Sets: []string{tt.option + "=" + tt.text}})
			group, name, _ := strings.Cut(tt.option, ".")
			if tt.err != "" {
				wantErrors(t, err, "--set: ["+group+"] "+name+" = "+quote(tt.text)+": "+tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := setting(t, c, group, name).Value
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			// What is printed can be given back.
			again := mustLoad(t, Sources{Sets: []string{tt.option + "=" + got}})
			if v := setting(t, again, group, name).Value; v != got {
				t.Errorf("%q is read back as %q", got, v)
			}
		})
	}
}
