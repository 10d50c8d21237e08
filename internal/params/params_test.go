package params

import (
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
)

func table() []driver.Option {
	return append([]driver.Option{
		Servers("a:1", "Servers."),
		Text("user", "me", "User."),
		Secret("password", "Password."),
		Choice("mode", "Mode.", "slow", "fast"),
		Int("count", 3, 1, 10, "Count."),
		Duration("wait", "2s", time.Second, time.Minute, "Wait."),
	}, TLS()...)
}

func TestDefaults(t *testing.T) {
	v, err := Parse(nil, table())
	if err != nil {
		t.Fatal(err)
	}
	if v.Text("user") != "me" || v.Text("password") != "" || v.Text("mode") != "slow" || v.Int("count") != 3 ||
		v.Duration("wait") != 2*time.Second || v.Bool("tls") {
		t.Errorf("got %v", v)
	}
	if c, err := v.TLS(); c != nil || err != nil {
		t.Errorf("got %v, %v: TLS was not asked for", c, err)
	}
}

func TestGiven(t *testing.T) {
	v, err := Parse(map[string]string{
		"user": "you", "mode": "fast", "count": "10", "wait": "0", "tls": "yes", "tls_server_name": "broker",
	}, table())
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.TLS()
	if err != nil || c == nil || c.ServerName != "broker" {
		t.Errorf("got %+v, %v", c, err)
	}
	if v.Text("user") != "you" || v.Text("mode") != "fast" || v.Int("count") != 10 || v.Duration("wait") != 0 {
		t.Errorf("got %v", v)
	}
}

func TestInvalid(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"usr", "x", `unknown parameter "usr"`},
		{"servers", "x", `unknown parameter "servers"`},
		{"mode", "warp", `mode = "warp": not one of slow, fast`},
		{"count", "11", `count = "11": not a number (1..10)`},
		{"wait", "2", `wait = "2": not a duration with its unit (1s..1m0s)`},
		{"wait", "2m", `wait = "2m": not a duration with its unit (1s..1m0s)`},
		{"tls", "maybe", `tls = "maybe": not a boolean (true, 1, yes, on, or false, 0, no, off)`},
		{"tls_ca", "/nonexistent/ca", "no such file"},
	} {
		_, err := Parse(map[string]string{tt.name: tt.text}, table())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s = %s: got %v, want %q", tt.name, tt.text, err, tt.want)
		}
	}
}

func TestTLSFiles(t *testing.T) {
	cert, key := authority.New(t, "test").Issue("client")
	open := func(given map[string]string) (int, error) {
		v, err := Parse(given, table())
		if err != nil {
			t.Fatal(err)
		}
		c, err := v.TLS()
		if err != nil {
			return 0, err
		}
		return len(c.Certificates), nil
	}
	if n, err := open(map[string]string{"tls_ca": cert, "tls_cert": cert, "tls_key": key}); n != 1 || err != nil {
		t.Errorf("got %d certificates, %v", n, err)
	}
	for want, given := range map[string]map[string]string{
		"no certificate in":    {"tls_ca": key},
		"must be set together": {"tls_cert": cert},
		"tls_cert: tls: ":      {"tls_cert": key, "tls_key": cert},
	} {
		if _, err := open(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", given, err, want)
		}
	}
}
