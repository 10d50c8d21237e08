package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/redis"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

// secure starts a server that speaks TLS only, and returns the certificate that
// it is known by.
func secure(t *testing.T) (s *redisserver.Server, ca string) {
	t.Helper()
	a := authority.New(t, "ours")
	cert, key := a.Issue("server")
	return redisserver.StartTLS(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.File, "--tls-auth-clients", "no"), a.File
}

// nobody listens there: the port is not one that the system gives away.
const nobody = "127.0.0.1:1"

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	plain := redisserver.Start(t)
	locked := redisserver.Start(t, "--requirepass", "right")
	replicated := redisserver.StartReplicated(t)
	clustered := redisserver.StartCluster(t, 3, 0)
	tlsServer, _ := secure(t)
	other := authority.New(t, "theirs").File
	for _, c := range []struct {
		name, server string
		params       map[string]string
		says, advice string
	}{
		{"WrongPassword", locked.Addr, map[string]string{"password": "wrong"}, "WRONGPASS", "check user and password"},
		{"WrongUser", locked.Addr, map[string]string{"user": "nobody", "password": "right"}, "WRONGPASS", "check user and password"},
		{"NoPassword", locked.Addr, nil, "NOAUTH", "set password"},
		{"NoServer", nobody, nil, "connection refused", "start it, or check servers"},
		{"WrongScheme", "nats://" + plain.Addr, nil, `unknown scheme "nats"`, "redis://"},
		{"NoPort", "127.0.0.1:none", nil, "no port", "host:port"},
		{"SecretWithoutScheme", "u:hush@127.0.0.1:1", nil, `"***@127.0.0.1:1"`, "host:port"},
		{"SecretInURL", "redis://u:hush@127.0.0.1:1/x", nil, `"redis://***@127.0.0.1:1/x"`, "host:port"},
		{"NoDatabase", plain.Addr, map[string]string{"db": "99"}, "DB index is out of range", "check db"},
		{"PlainToTLS", tlsServer.Addr, nil, tlsServer.Addr, "set tls to true"},
		{"TLSToPlain", "rediss://" + plain.Addr, nil, "TLS handshake", "doesn't speak TLS"},
		{"UnknownCA", tlsServer.Addr, map[string]string{"tls": "true", "tls_ca": other}, "certificate", "set tls_ca"},
		{"StandaloneToCluster", clustered.Nodes[0].Addr, nil, "node of a cluster", "set mode to cluster"},
		{"ClusterToStandalone", plain.Addr, map[string]string{"mode": "cluster"}, plain.Addr, "mode"},
		{"StandaloneToSentinel", replicated.Sentinels[0].Addr, nil, "Sentinel", "set mode to sentinel"},
		{"SentinelToStandalone", plain.Addr, map[string]string{"mode": "sentinel"}, plain.Addr, "Sentinel"},
		{"UnknownMaster", replicated.Sentinels[0].Addr, map[string]string{"mode": "sentinel", "sentinel_master": "other"}, "other", "sentinel_master"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := driver.Config{Servers: []string{c.server}, Params: c.params, HandshakeTimeout: time.Second}
			for _, d := range []redis.Driver{{}, {Streams: true}} {
				pub, err := d.OpenPublisher(t.Context(), cfg.WithDefaults())
				explained(t, "OpenPublisher", pub, err, c.says, c.advice)
				sub, err := d.OpenSubscriber(t.Context(), cfg.WithDefaults())
				explained(t, "OpenSubscriber", sub, err, c.says, c.advice)
			}
		})
	}
}

// TestReplica: who publishes to a replica is told so. It may be listened to, as
// it passes on what its master is told.
func TestReplica(t *testing.T) {
	t.Parallel()
	r := redisserver.StartReplicated(t)
	master, replica := driver.Config{Servers: []string{r.Servers[0].Addr}}.WithDefaults(), driver.Config{Servers: []string{r.Servers[1].Addr}}.WithDefaults()
	pub, err := redis.Driver{}.OpenPublisher(t.Context(), replica)
	explained(t, "OpenPublisher", pub, err, "replica", "name its master")
	if pub, err = (redis.Driver{}).OpenPublisher(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	sub, err := redis.Driver{}.OpenSubscriber(t.Context(), replica)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	passes(t, pub, sub)
}

// hint returns what an error advises.
func hint(err error) string {
	var h *driver.HintError
	if errors.As(err, &h) {
		return h.Hint
	}
	return ""
}

// explained checks that an error names the cause, and what to do.
func explained(t *testing.T, call string, half interface{ Close() error }, err error, says, advice string) {
	t.Helper()
	if err == nil {
		_ = half.Close()
		t.Errorf("%s: no error", call)
		return
	}
	if !strings.Contains(err.Error(), says) || !strings.Contains(hint(err), advice) {
		t.Errorf("%s: %v; hint: %q; want %q and a hint with %q", call, err, hint(err), says, advice)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s, ca := secure(t)
	for _, servers := range []string{s.Addr, "rediss://" + s.Addr} {
		cfg := driver.Config{Servers: []string{servers}, Params: map[string]string{"tls": "true", "tls_ca": ca}}
		deliver(t, redis.Driver{}, cfg)
		deliver(t, redis.Driver{Streams: true}, cfg)
	}
}

// deliver sends one message from a publisher to a subscriber.
func deliver(t *testing.T, d redis.Driver, cfg driver.Config) {
	t.Helper()
	pub, sub := open(t, d, cfg)
	defer pub.Close()
	defer sub.Close()
	passes(t, pub, sub)
}

func passes(t *testing.T, pub driver.Publisher, sub driver.Subscriber) {
	t.Helper()
	if err := sub.Subscribe(t.Context(), "T"); err != nil {
		t.Fatal(err)
	}
	if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("T"), Payload: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	var got [1]driver.Message
	if n, err := sub.Receive(t.Context(), got[:]); n != 1 || err != nil || string(got[0].Topic) != "T" || string(got[0].Payload) != "x" {
		t.Errorf("got %d messages, %+v, %v", n, got, err)
	}
}

func open(t *testing.T, d redis.Driver, cfg driver.Config) (driver.Publisher, driver.Subscriber) {
	t.Helper()
	pub, err := d.OpenPublisher(t.Context(), cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	sub, err := d.OpenSubscriber(t.Context(), cfg.WithDefaults())
	if err != nil {
		_ = pub.Close()
		t.Fatal(err)
	}
	return pub, sub
}

// TestACL: a user that may not use a topic is told so, and of others it is not
// deprived. It passes when it may.
func TestACL(t *testing.T) {
	t.Parallel()
	s := redisserver.Start(t)
	may := func(rules ...any) { s.Do(append([]any{"ACL", "SETUSER", "worker"}, rules...)...) }
	cfg := driver.Config{Servers: []string{"redis://worker:secret@" + s.Addr}, ReconnectMax: 200 * time.Millisecond}
	for _, d := range []redis.Driver{{}, {Streams: true}} {
		may("reset", "on", ">secret", "resetchannels", "&T", "resetkeys", "~*}T", "+@all")
		pub, sub := open(t, d, cfg)
		defer pub.Close()
		defer sub.Close()
		message := func(topic string) driver.Message { return driver.Message{Topic: []byte(topic), Payload: []byte("x")} }
		for _, msgs := range [][]driver.Message{{message("forbidden")}, {message("T"), message("forbidden"), message("T")}} {
			n, err := pub.Publish(t.Context(), msgs)
			if n != len(msgs)/2 || !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "NOPERM") || !strings.Contains(hint(err), "ACL SETUSER") {
				t.Errorf("Publish of %d: %d, %v; hint: %q", len(msgs), n, err, hint(err))
			}
			if errors.Is(err, driver.ErrUnsure) {
				t.Errorf("%v, but the second time it is known before it is tried", err)
			}
		}
		// What is behind a new one goes with it, whatever else is there.
		n, err := pub.Publish(t.Context(), []driver.Message{message("T"), message("secret"), message("T"), message("forbidden"), message("T")})
		if n != 1 || !errors.Is(err, driver.ErrRefused) || !errors.Is(err, driver.ErrUnsure) {
			t.Errorf("Publish: %d, %v", n, err)
		}
		if got := pub.(driver.Statuser).Status().Messages; got != 2+2 { // with that of before
			t.Errorf("%d messages were published", got)
		}
		err = sub.Subscribe(t.Context(), "T", "forbidden")
		if err == nil || !strings.Contains(err.Error(), `"forbidden"`) || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("Subscribe: %v", err)
		}
		deliver(t, d, cfg)
		may("&*", "~*")
		s.Wait("the permission", func() bool {
			n, err := pub.Publish(t.Context(), []driver.Message{message("forbidden")})
			if err != nil && !errors.Is(err, driver.ErrRefused) {
				t.Error(err)
			}
			return n == 1
		})
	}
}

// TestNoStream: a key that is no stream is refused like a topic that one may not
// use.
func TestNoStream(t *testing.T) {
	s := redisserver.Start(t)
	pub, sub := open(t, redis.Driver{Streams: true}, driver.Config{Servers: []string{s.Addr}})
	defer pub.Close()
	defer sub.Close()
	if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("bad"), Payload: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range s.Do("KEYS", "*").([]any) {
		s.Do("SET", key, "no stream")
	}
	n, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("bad"), Payload: []byte("x")}})
	if n != 0 || !errors.Is(err, driver.ErrRefused) || !strings.Contains(hint(err), "stream_prefix") {
		t.Errorf("Publish: %d, %v; hint: %q", n, err, hint(err))
	}
	passes(t, pub, sub)
}

// TestMutualTLS: a server that wants a certificate of ours.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	a, other := authority.New(t, "ours"), authority.New(t, "theirs")
	cert, key := a.Issue("server")
	s := redisserver.StartTLS(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.File)
	own, ownKey := a.Issue("client")
	wrong, wrongKey := other.Issue("client")
	for _, d := range []redis.Driver{{}, {Streams: true}} {
		with := func(cert, key string) driver.Config {
			return driver.Config{Servers: []string{s.Addr}, Params: map[string]string{"tls_ca": a.File, "tls_cert": cert, "tls_key": key}}
		}
		deliver(t, d, with(own, ownKey))
		for _, cfg := range []driver.Config{with("", ""), with(wrong, wrongKey)} {
			pub, err := d.OpenPublisher(t.Context(), cfg.WithDefaults())
			explained(t, "OpenPublisher", pub, err, s.Addr, "tls_cert and tls_key")
			sub, err := d.OpenSubscriber(t.Context(), cfg.WithDefaults())
			explained(t, "OpenSubscriber", sub, err, s.Addr, "tls_cert and tls_key")
		}
	}
}

// TestTooLarge: what is longer than the server takes is refused by the call, and
// costs nobody else anything.
func TestTooLarge(t *testing.T) {
	const limit = 1 << 20 // the smallest that a server can be told
	s := redisserver.Start(t, "--proto-max-bulk-len", "1048576")
	for _, d := range []redis.Driver{{}, {Streams: true}} {
		cfg := driver.Config{Servers: []string{s.Addr}, MaxPayload: 8 << 20}
		pub, err := d.OpenPublisher(t.Context(), cfg.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		defer pub.Close()
		n, err := pub.Publish(t.Context(), []driver.Message{
			{Topic: []byte("T"), Payload: []byte("x")}, {Topic: []byte("T"), Payload: make([]byte, limit+1)}, {Topic: []byte("T"), Payload: []byte("y")},
		})
		if n != 1 || !errors.Is(err, driver.ErrTooLarge) || !strings.Contains(err.Error(), "1048576") || hint(err) == "" {
			t.Errorf("Publish: %d, %v; hint: %q", n, err, hint(err))
		}
		if n, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("T"), Payload: make([]byte, limit)}}); n != 1 || err != nil {
			t.Errorf("Publish of what just fits: %d, %v", n, err)
		}
	}
}
