package redis_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	wyvernconfig "github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

// TestConfiguration: what a Dragonflow site has in its file is enough; what is
// ours is in a section of its own.
func TestConfiguration(t *testing.T) {
	s := redisserver.Start(t)
	s.Do("ACL", "SETUSER", "worker", "on", ">right", "allchannels", "allkeys", "+@all")
	s.Do("CONFIG", "SET", "requirepass", "other")
	s.Auth("default", "other")
	for _, lines := range [][]string{
		{"[df]", "pub_sub_driver = redis_db_pubsub_driver", "remote_db_hosts = " + s.Addr, "[wyvern_redis]"},
		{"[df]", "pub_sub_driver = redis", "[wyvern_redis]", "servers = " + s.Addr},
		{"[df]", "pub_sub_driver = redis_streams", "[wyvern_redis]", "servers = redis://" + s.Addr, "stream_prefix = mine:"},
	} {
		path := filepath.Join(t.TempDir(), "wyvern.conf")
		text := strings.Join(append(lines, "user = worker", "password = right"), "\n")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := wyvernconfig.Load(wyvernconfig.Sources{Files: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		d, err := driver.Lookup(strings.Fields(lines[1])[2], driver.Network, driver.Publishes|driver.Subscribes)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := d.OpenPublisher(t.Context(), c.Network())
		if err != nil {
			t.Fatal(err)
		}
		defer pub.Close()
		sub, err := d.OpenSubscriber(t.Context(), c.Network())
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		passes(t, pub, sub)
		for _, setting := range c.Settings() {
			if strings.Contains(setting.Value, "right") {
				t.Errorf("the password is shown: %+v", setting)
			}
		}
	}
	keys, _ := s.Do("KEYS", "*").([]any)
	if len(keys) != 1 || !strings.HasPrefix(keys[0].(string), "mine:{") {
		t.Errorf("the keys are %v, want one that begins with mine:{", keys)
	}
}
