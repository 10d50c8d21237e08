package nats_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// A configuration file reaches the stream.
func TestConfigurationFile(t *testing.T) {
	s := start(t, embedded.Options{JetStream: true, User: "u", Password: "p,w"})
	file := filepath.Join(t.TempDir(), "x.ini")
	text := fmt.Sprintf(`[df]
pub_sub_driver = nats_jetstream
[wyvern_nats]
servers = %s, nats://%s
user = u
password = p,w
prefix = cloud.one
stream = events
stream_max_age = 90s
stream_max_bytes = 2000000
stream_storage = memory
`, s.URL(), freeport.Address(t))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Sources{Files: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := driver.Lookup(c.DF.PubSubDriver, driver.Network, driver.Publishes)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := d.OpenPublisher(t.Context(), c.Network())
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("a.b"), Payload: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	nc, err := client.Connect(s.URL(), client.UserInfo("u", "p,w"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	if got.MaxAge.String() != "1m30s" || got.MaxBytes != 2000000 || got.Storage != jetstream.MemoryStorage || got.Replicas != 1 {
		t.Errorf("the stream is %+v", got)
	}
	if m, err := stream.GetLastMsgForSubject(t.Context(), "cloud.one.a%2Eb"); err != nil || string(m.Data) != "x" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestConfigurationErrors(t *testing.T) {
	for line, want := range map[string]string{
		"prefix = a.*":           "prefix",
		"inbox_bytes = 5":        "inbox_bytes",
		"stream_storage = paper": "stream_storage",
		"stream_replicas = 9":    "stream_replicas",
		"nkey_seed = /no/such":   "no such file",
	} {
		file := filepath.Join(t.TempDir(), "x.ini")
		if err := os.WriteFile(file, []byte("[wyvern_nats]\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Sources{Files: []string{file}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", line, err, want)
		}
	}
}
