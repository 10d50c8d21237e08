package etcd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// load reads a configuration file with these lines.
func load(t *testing.T, lines ...string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wyvern.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Sources{Files: []string{path}})
}

// What a Dragonflow site has in its file is enough; what is ours is in a section
// of its own.
func TestConfiguration(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	enableAuth(t, s)
	for _, where := range [][]string{
		{"[df]", "pub_sub_driver = etcd_pubsub_driver", "remote_db_hosts = " + s.Address(), "[wyvern_etcd]"},
		{"[df]", "pub_sub_driver = etcd", "[wyvern_etcd]", "servers = 127.0.0.1:1, " + s.Endpoint()},
	} {
		c, err := load(t, append(where, "user = user", "password = right")...)
		if err != nil {
			t.Fatal(err)
		}
		d, err := driver.Lookup(strings.Fields(where[1])[2], driver.Network, driver.Publishes|driver.Subscribes)
		if err != nil {
			t.Fatal(err)
		}
		cfg := c.Network()
		pub, err := d.OpenPublisher(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer pub.Close()
		sub, err := d.OpenSubscriber(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if err := sub.Subscribe(t.Context(), "T"); err != nil {
			t.Fatal(err)
		}
		publish(t, pub, "T", "x")
		wantMessage(t, sub, "T", "x", driver.NoNotice)
		for _, setting := range c.Settings() {
			if strings.Contains(setting.Value, "right") {
				t.Errorf("the password is shown: %+v", setting)
			}
		}
	}
	if _, err := load(t, "[wyvern_etcd]", "dial_timeout = soon"); err == nil || !strings.Contains(err.Error(), "dial_timeout") {
		t.Errorf("got %v", err)
	}
}
