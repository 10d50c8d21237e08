package nats_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
)

// secure returns what a server needs to speak TLS, and the file of who signed it.
func secure(t *testing.T) (c *tls.Config, ca string) {
	t.Helper()
	a := authority.New(t, "ours")
	pair, err := tls.LoadX509KeyPair(a.Issue("server"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, a.File
}

// nkey makes a key and the file with its seed.
func nkey(t *testing.T) (public, file string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err = pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return public, file
}

// deaf listens and says what it is told to, or nothing.
func deaf(t *testing.T, says string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, says)
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	return "nats://" + l.Addr().String()
}

func TestOpenErrors(t *testing.T) {
	secured, ca := secure(t)
	otherCA := authority.New(t, "theirs").File
	public, seed := nkey(t)
	_, otherSeed := nkey(t)
	plain := start(t, embedded.Options{}).URL()
	user := start(t, embedded.Options{User: "u", Password: "right"}).URL()
	token := start(t, embedded.Options{Token: "right"}).URL()
	key := start(t, embedded.Options{NKeys: []string{public}}).URL()
	encrypted := strings.Replace(start(t, embedded.Options{TLS: secured}).URL(), "tls://", "nats://", 1)
	streams := start(t, embedded.Options{JetStream: true}).URL()
	const nobody = "nats://127.0.0.1:1" // the port is not one that the system gives away

	for _, c := range []struct {
		name, server  string
		params        map[string]string
		js            bool
		want, andHint string // parts of them; none: it works
	}{
		{"works", plain, nil, false, "", ""},
		{"user", user, map[string]string{"user": "u", "password": "right"}, false, "", ""},
		{"wrong password", user, map[string]string{"user": "u", "password": "wrong"}, false, "Authorization Violation", "refuses what user says"},
		{"no user", user, nil, false, "Authorization Violation", "no credentials are set"},
		{"token", token, map[string]string{"token": "right"}, false, "", ""},
		{"wrong token", token, map[string]string{"token": "wrong"}, false, "Authorization Violation", "refuses what token says"},
		{"nkey", key, map[string]string{"nkey_seed": seed}, false, "", ""},
		{"wrong nkey", key, map[string]string{"nkey_seed": otherSeed}, false, "Authorization Violation", "refuses what nkey_seed says"},
		{"no nkey in the file", key, map[string]string{"nkey_seed": ca}, false, "nkey_seed: ", "begins with SU"},
		{"no file of credentials", plain, map[string]string{"credentials": "/nonexistent"}, false, "no such file", "parameters: "},
		{"two logins", plain, map[string]string{"token": "a", "user": "b"}, false, "user, token: more than one way", ""},
		{"no server", nobody, nil, false, "no server answers at " + nobody, "start nats-server"},
		{"not a URL", "nats://a:b:c", nil, false, "bad server", "write nats://host:port"},
		{"wrong scheme", "redis://127.0.0.1:1", nil, false, "unknown scheme redis", "write nats://host:port"},
		{"a secret in a wrong URL", "redis://user:secret@127.0.0.1:1", nil, false, `"redis://***@127.0.0.1:1"`, ""},
		{"silence", deaf(t, ""), nil, false, "127.0.0.1", "does not answer as a NATS server"},
		{"another service", deaf(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), nil, false, "", "no NATS server"},
		{"TLS", encrypted, map[string]string{"tls_ca": ca}, false, "", ""},
		{"TLS by the server's wish", encrypted, nil, false, "unknown authority", "set tls_ca"},
		{"TLS, unknown CA", encrypted, map[string]string{"tls_ca": otherCA}, false, "unknown authority", "set tls_ca"},
		{"TLS, another name", encrypted, map[string]string{"tls_ca": ca, "tls_server_name": "other"}, false, "to match other", "tls_server_name"},
		{"TLS to a server without", plain, map[string]string{"tls": "true"}, false, "secure connection not available", "has no TLS"},
		{"JetStream", streams, nil, true, "", ""},
		{"no JetStream", plain, nil, true, "the server has no JetStream", "with JetStream"},
		{"no stream", streams, map[string]string{"stream_create": "false", "stream": "none", "prefix": "none"}, true, `stream "none"`, "stream_create"},
		{"a stream that can't be", streams, map[string]string{"stream": "a.b"}, true, "not a name", ""},
		{"too many replicas", streams, map[string]string{"stream_replicas": "3", "stream": "r", "prefix": "r"}, true, "replicas", "stream_replicas"},
		{"another stream has the subjects", streams, map[string]string{"stream": "another"}, true, "overlap", "another stream takes"},
		{"unknown parameter", plain, map[string]string{"usr": "x"}, false, `unknown parameter "usr"`, "parameters: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := driver.Config{Servers: []string{c.server}, Params: c.params, HandshakeTimeout: time.Second}
			if c.js {
				cfg.HandshakeTimeout = 5 * time.Second
			}
			d := nats.Driver{JetStream: c.js}
			pub, err := d.OpenPublisher(t.Context(), cfg)
			checkOpen(t, pub, err, c.want, c.andHint)
			sub, err := d.OpenSubscriber(t.Context(), cfg)
			checkOpen(t, sub, err, c.want, c.andHint)
		})
	}
}

func checkOpen(t *testing.T, half io.Closer, err error, want, hint string) {
	t.Helper()
	if err == nil {
		half.Close()
		if want+hint != "" {
			t.Errorf("it was opened, want an error with %q", want)
		}
		return
	}
	var h *driver.HintError
	errors.As(err, &h)
	switch {
	case want+hint == "":
		t.Errorf("got %v", err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("got %q, want %q in it", err, want)
	case hint != "" && (h == nil || !strings.Contains(h.Hint, hint)):
		t.Errorf("%v: got the hint %+v, want %q in it", err, h, hint)
	case strings.Contains(err.Error(), "secret"):
		t.Errorf("%v: that shows a secret", err)
	}
}

func TestTooLargeForTheServer(t *testing.T) {
	o := embedded.Options{JetStream: true, StoreDir: t.TempDir(), MaxPayload: 10000}
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			cfg := newPlace(s)
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
			message := func(size int) driver.Message { return driver.Message{Topic: []byte("T"), Payload: make([]byte, size)} }
			n, err := pub.Publish(t.Context(), []driver.Message{message(9000), message(10001), message(1)})
			if n != 1 || !errors.Is(err, driver.ErrTooLarge) || errors.Is(err, driver.ErrUnsure) || !strings.Contains(err.Error(), "of 10000") {
				t.Errorf("got %d, %v; want 1 and an error that names the limit of 10000", n, err)
			}
			if n, err := pub.Publish(t.Context(), []driver.Message{message(2)}); n != 1 || err != nil {
				t.Errorf("the next one: %d, %v", n, err)
			}
			for _, want := range []int{9000, 2} {
				got := make([]driver.Message, 1)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if _, err := sub.Receive(ctx, got); err != nil || len(got[0].Payload) != want {
					t.Errorf("received %d bytes, %v; want %d", len(got[0].Payload), err, want)
				}
				cancel()
			}
		})
	}
}
