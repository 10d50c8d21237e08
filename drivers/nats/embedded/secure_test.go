package embedded_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// With certificates and a password, what one service publishes reaches a node of
// the other through the cluster, and who lacks one of them gets nothing: neither
// as a node nor as a server of the cluster.
func TestSecureCluster(t *testing.T) {
	drivertest.CheckLeaks(t)
	ours, theirs := authority.New(t, "ours"), authority.New(t, "theirs")
	cert, key := ours.Issue("server")
	secrets := map[string]string{"user": "u", "password": "right", "tls_ca": ours.File, "tls_cert": cert, "tls_key": key}
	listen := []string{freeport.Address(t), freeport.Address(t)}
	service := func(changed map[string]string) *driver.Publisher {
		t.Helper()
		cfg := config(t)
		cfg.Params = maps.Clone(secrets)
		cfg.Params["cluster_name"], cfg.Params["cluster_listen"] = "test", freeport.Address(t)
		cfg.Params["routes"] = listen[0] + "," + listen[1] + "," + freeport.Address(t) // nobody is there
		maps.Copy(cfg.Params, changed)
		p, err := embedded.Driver{}.OpenPublisher(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return &p
	}
	one, two := service(map[string]string{"cluster_listen": listen[0]}), service(map[string]string{"cluster_listen": listen[1]})
	outsiders := []*driver.Publisher{
		service(map[string]string{"password": "wrong"}),
		service(map[string]string{"user": "", "password": ""}),
		service(map[string]string{"tls_ca": "", "tls_cert": "", "tls_key": ""}),
		service(map[string]string{"tls_ca": theirs.File}),
	}
	uri := "tcp://" + (*two).(driver.Bound).Addr().String()
	node := func(changed map[string]string) driver.Subscriber {
		t.Helper()
		cfg := config(t)
		cfg.Params = map[string]string{"user": "u", "password": "right", "tls_ca": ours.File}
		maps.Copy(cfg.Params, changed)
		s, err := embedded.Driver{}.OpenSubscriber(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := s.(driver.Connector).Connect(uri); err != nil {
			t.Fatal(err)
		}
		if err := s.Subscribe(t.Context(), "T"); err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := node(nil)
	if err := good.(driver.Awaiter).Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	bad := []driver.Subscriber{node(map[string]string{"tls_ca": theirs.File}), node(map[string]string{"password": "wrong"}), node(map[string]string{"tls_ca": ""})}

	got := make(chan string)
	go func() {
		defer close(got)
		m := make([]driver.Message, 1)
		for {
			if _, err := good.Receive(t.Context(), m); err != nil {
				return
			}
			if m[0].Notice == driver.NoNotice {
				got <- string(m[0].Payload)
			}
		}
	}()
	send := func(p *driver.Publisher, text string) {
		t.Helper()
		if _, err := (*p).Publish(t.Context(), []driver.Message{{Topic: []byte("T"), Payload: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
	}
	// Until the servers have found each other, nothing comes. By then the
	// outsiders have tried, too.
	deadline, came := time.Now().Add(20*time.Second), 0
	for round := 0; came < 20; round++ {
		if time.Now().After(deadline) {
			t.Fatalf("got %d events", came)
		}
		send(one, "ours")
		for _, p := range outsiders {
			send(p, "theirs")
		}
		select {
		case text := <-got:
			if text != "ours" {
				t.Fatal("an outsider is in the cluster")
			}
			came++
		case <-time.After(20 * time.Millisecond):
		}
	}
	for i, s := range bad {
		if n := s.(driver.Statuser).Status().Peers; n != 0 {
			t.Error(fmt.Sprint("node ", i, " is connected, though it should not be"))
		}
	}
	good.Close()
	for range got {
	}
}
