package nats_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/natsserver"
)

// Credentials as nsc makes them, and what is wrong with them.
func TestCredentials(t *testing.T) {
	s := natsserver.StartOperated(t, "max_connections: 1")
	valid := func(*natsserver.User) {}
	nonsense := filepath.Join(t.TempDir(), "nonsense.creds")
	if err := os.WriteFile(nonsense, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file, want, andHint string }{
		{"valid", s.Credentials(valid), "", ""},
		{"expired", s.Credentials(func(u *natsserver.User) { u.Expires = time.Now().Add(-time.Hour).Unix() }), "Authorization Violation", "may have expired"},
		{"elsewhere", s.Credentials(func(u *natsserver.User) { u.Src = []string{"192.0.2.0/24"} }), "Authorization Violation", "refuses what credentials says"},
		{"nonsense", nonsense, "nonsense.creds", "not a file with a JWT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := driver.Config{Servers: []string{s.ClientURL()}, Params: map[string]string{"credentials": c.file}, HandshakeTimeout: 5 * time.Second}
			pub, err := nats.Driver{}.OpenPublisher(t.Context(), cfg)
			checkOpen(t, pub, err, c.want, c.andHint)
			poll(t, "the end of the connection", func() bool { return s.NumClients() == 0 })
		})
	}
	t.Run("one too many", func(t *testing.T) {
		cfg := driver.Config{Servers: []string{s.ClientURL()}, Params: map[string]string{"credentials": s.Credentials(valid)}}
		pub, err := nats.Driver{}.OpenPublisher(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer pub.Close()
		second, err := nats.Driver{}.OpenPublisher(t.Context(), cfg)
		checkOpen(t, second, err, "", "max_connections")
	})
	t.Run("certificate", func(t *testing.T) {
		ours, theirs := authority.New(t, "ours"), authority.New(t, "theirs")
		cert, key := ours.Issue("server")
		s := natsserver.Start(t, fmt.Sprintf("tls: { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", cert, key, ours.File))
		own, ownKey := ours.Issue("client")
		wrong, wrongKey := theirs.Issue("client")
		for _, c := range [][3]string{{own, ownKey, ""}, {"", "", "tls_cert and tls_key"}, {wrong, wrongKey, "tls_cert and tls_key"}} {
			for range 5 { // who is cut off does not always see why
				cfg := driver.Config{Servers: []string{s.ClientURL()}, Params: map[string]string{"tls_ca": ours.File, "tls_cert": c[0], "tls_key": c[1]}}
				pub, err := nats.Driver{}.OpenPublisher(t.Context(), cfg)
				checkOpen(t, pub, err, "", c[2])
			}
		}
	})
	t.Run("in a URL", func(t *testing.T) {
		s := natsserver.Start(t, "authorization: { user: u, password: p }")
		for user, hint := range map[string]string{"u:p": "", "u:secret": "user and password in the URL"} {
			for _, scheme := range []string{"nats://", ""} {
				cfg := driver.Config{Servers: []string{scheme + user + "@" + strings.TrimPrefix(s.ClientURL(), "nats://")}}
				pub, err := nats.Driver{}.OpenPublisher(t.Context(), cfg)
				checkOpen(t, pub, err, "", hint)
			}
		}
	})
}
