package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/etcd"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/authority"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// open opens both halves, and closes them if that works. The error is that of
// one that doesn't.
func open(t testing.TB, cfg driver.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pub, err := etcd.Driver{}.OpenPublisher(ctx, cfg)
	if err != nil {
		return err
	}
	defer pub.Close()
	sub, err := etcd.Driver{}.OpenSubscriber(ctx, cfg)
	if err != nil {
		return err
	}
	defer sub.Close()
	return sub.Subscribe(ctx, "T")
}

// with is a configuration with parameters, given as names and values.
func with(server string, params ...string) driver.Config {
	cfg := site(server)
	cfg.Params = map[string]string{}
	for i := 0; i < len(params); i += 2 {
		cfg.Params[params[i]] = params[i+1]
	}
	cfg.HandshakeTimeout = 3 * time.Second
	return cfg
}

// enableAuth makes a server want users. Besides root, whose password is "root",
// there is "user" with the password "right", who may do what it likes below
// /pubsub/, and "reader", likewise, who may only read there.
func enableAuth(t testing.TB, s *etcdserver.Server) {
	t.Helper()
	c := s.Client(nil)
	defer c.Close()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	end := clientv3.GetPrefixRangeEnd("/pubsub/")
	for _, u := range []struct {
		name, password string
		may            clientv3.PermissionType
	}{{"root", "root", 0}, {"user", "right", clientv3.PermissionType(clientv3.PermReadWrite)}, {"reader", "right", clientv3.PermissionType(clientv3.PermRead)}} {
		must(c.RoleAdd(ctx, u.name))
		must(c.UserAdd(ctx, u.name, u.password))
		must(c.UserGrantRole(ctx, u.name, u.name))
		if u.name != "root" {
			must(c.RoleGrantPermission(ctx, u.name, "/pubsub/", end, u.may))
		}
	}
	must(c.AuthEnable(ctx))
}

func TestOpenErrors(t *testing.T) {
	drivertest.CheckLeaks(t)
	plain := etcdserver.Start(t, etcdserver.Options{Process: true})
	closed := etcdserver.Start(t, etcdserver.Options{Process: true})
	enableAuth(t, closed)
	ca, other := authority.New(t, "ours"), authority.New(t, "theirs")
	cert, key := ca.Issue("server")
	secure := etcdserver.Start(t, etcdserver.Options{Process: true, Cert: cert, Key: key})
	mutual := etcdserver.Start(t, etcdserver.Options{Process: true, Cert: cert, Key: key, CA: ca.File})
	own, ownKey := ca.Issue("client")
	silent := silentServer(t)

	for _, c := range []struct {
		name       string
		cfg        driver.Config
		says, hint string // both empty: it works; says: one of several, as who is cut off sees it
	}{
		{"address", with(plain.Address()), "", ""},
		{"URL", with(plain.Endpoint()), "", ""},
		{"one of several is there", withServers(with(""), "127.0.0.1:1", plain.Address()), "", ""},
		{"no server", with("127.0.0.1:1"), "connection refused", "is etcd running at http://127.0.0.1:1?"},
		{"no server, with a user", with("127.0.0.1:1", "user", "user", "password", "right"), "connection refused", "is etcd running"},
		{"no such host", with("nowhere.invalid:2379"), "no such host", "check the names"},
		{"silent server", with(silent), "deadline exceeded", "is it etcd, and has the cluster a leader?"},
		{"wrong scheme", with("redis://127.0.0.1:1"), `unknown scheme "redis"`, "valid are host:port"},
		{"user in the address", with("http://user:hush@127.0.0.1:1"), `"http://***@127.0.0.1:1"`, "valid are host:port"},
		{"wrong port", with("127.0.0.1:etcd"), "invalid port", "valid are host:port"},
		{"path", with("http://127.0.0.1:1/v3"), "something follows the port", "valid are"},
		{"mixed", withServers(with(""), "http://127.0.0.1:1", "https://127.0.0.1:2"), "some are https and some are not", ""},
		{"http and TLS", with("http://127.0.0.1:1", "tls", "true"), "http, but there are options for TLS", "write https"},
		{"user without a password", with(plain.Address(), "user", "user"), "must be set together", ""},
		{"unknown option", with(plain.Address(), "speed", "9"), `unknown parameter "speed"`, "prefix"},

		{"right password", with(closed.Address(), "user", "user", "password", "right"), "", ""},
		{"wrong password", with(closed.Address(), "user", "user", "password", "wrong"), "invalid user ID or password", "check the options user and password"},
		{"no user", with(closed.Address()), "user name is empty", "set the options user and password"},
		{"a user, but nobody asks", with(plain.Address(), "user", "user", "password", "right"), "", ""},
		{"other prefix", with(closed.Address(), "user", "user", "password", "right", "prefix", "/secret/"), "write below /secret/", "grant the user a role"},
		{"may only read", with(closed.Address(), "user", "reader", "password", "right"), "permission denied", "grant the user a role"},

		{"TLS", with(secure.Address(), "tls_ca", ca.File), "", ""},
		{"TLS by URL alone", with(secure.Endpoint()), "signed by unknown authority", "set tls_ca"},
		{"unknown authority", with(secure.Address(), "tls_ca", other.File), "signed by unknown authority", "set tls_ca"},
		{"another name", with(secure.Address(), "tls_ca", ca.File, "tls_server_name", "elsewhere"), "not valid for any names", "tls_server_name"},
		{"plain client", with(secure.Address()), "error reading server preface|broken pipe|connection reset", "does the server at http://" + secure.Address() + " speak TLS?"},
		{"plain server", with(plain.Address(), "tls", "true"), "authentication handshake failed", "the server does not speak TLS"},
		{"own certificate", with(mutual.Address(), "tls_ca", ca.File, "tls_cert", own, "tls_key", ownKey), "", ""},
		{"no own certificate", with(mutual.Address(), "tls_ca", ca.File), "certificate required|broken pipe|connection reset|server preface", "tls_cert and tls_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			err := open(t, c.cfg)
			if c.says == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !slices.ContainsFunc(strings.Split(c.says, "|"), func(s string) bool { return strings.Contains(err.Error(), s) }) {
				t.Fatalf("got %v, want %q", err, c.says)
			}
			if strings.Contains(err.Error(), "rpc error") || strings.Contains(err.Error(), "etcdserver") {
				t.Errorf("%v: that is for programmers", err)
			}
			var hint *driver.HintError
			if c.hint != "" && (!errors.As(err, &hint) || !strings.Contains(hint.Hint, c.hint)) {
				t.Errorf("%v: hint %+v, want %q", err, hint, c.hint)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func withServers(cfg driver.Config, servers ...string) driver.Config {
	cfg.Servers = servers
	return cfg
}

// silentServer is the address of something that takes connections and says
// nothing.
func silentServer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// A user who may read only some topics can hold those, and is told of others.
func TestSubscribeDenied(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	enableAuth(t, s)
	cfg := with(s.Address(), "user", "user", "password", "right", "prefix", "/")
	sub, err := etcd.Driver{}.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := sub.Subscribe(t.Context(), "pubsub/one", "secret", "pubsub/two"); err == nil || !strings.Contains(err.Error(), "watch /secret: ") {
		t.Errorf("got %v, want an error that names the topic", err)
	}
	c := s.Client(func(c *clientv3.Config) { c.Username, c.Password = "root", "root" })
	for _, topic := range []string{"one", "two"} {
		if _, err := c.Put(t.Context(), "/pubsub/"+topic, "x"); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, sub); string(m.Topic) != "pubsub/"+topic {
			t.Errorf("got %q, want pubsub/%s", m.Topic, topic)
		}
	}
	cfg.AllTopics = true
	if _, err := (etcd.Driver{}).OpenSubscriber(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "read all below /: ") {
		t.Errorf("got %v for all topics", err)
	}
}

// receive returns the next message, which is only valid until the next call.
func receive(t testing.TB, sub driver.Subscriber) driver.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	msgs := make([]driver.Message, 1)
	if _, err := sub.Receive(ctx, msgs); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return msgs[0]
}

// A payload that etcd does not take is refused at the call. Those before it are
// published, and so is what comes later.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, limit := range []uint{1 << 20, 16 << 10} { // etcd's own and gRPC's limit
		s := etcdserver.Start(t, etcdserver.Options{Process: true, MaxRequestBytes: limit, MaxTxnOps: 4})
		cfg := site(s.Endpoint())
		cfg.MaxPayload = 8 << 20
		pub, sub := halves(t, cfg, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
		large := func(size int) []byte { return bytes.Repeat([]byte{'x'}, size) }
		msgs := []driver.Message{
			{Topic: []byte("a"), Payload: []byte("1")}, {Topic: []byte("b"), Payload: large(int(limit) * 3)}, {Topic: []byte("c"), Payload: []byte("3")},
		}
		n, err := pub.Publish(t.Context(), msgs)
		if n > 1 || !errors.Is(err, driver.ErrTooLarge) || !strings.Contains(err.Error(), "--max-request-bytes") {
			t.Errorf("Publish: %d, %v; want an error that names etcd's option", n, err)
		}
		// Many that together are too large, and too many, for a transaction.
		var want []string
		msgs = msgs[:0]
		for i := range 10 {
			topic := string(rune('a' + i))
			want = append(want, topic)
			msgs = append(msgs, driver.Message{Topic: []byte(topic), Payload: large(int(limit) / 3)})
		}
		if n, err := pub.Publish(t.Context(), msgs); n != 10 || err != nil {
			t.Errorf("Publish of 10 that are large together: %d, %v", n, err)
		}
		seen := map[string]bool{}
		for len(seen) < len(want) {
			if m := receive(t, sub); len(m.Payload) > 1 {
				seen[string(m.Topic)] = true
			}
		}
		s.Stop()
	}
}

// halves opens both.
func halves(t testing.TB, cfg driver.Config, topics ...string) (driver.Publisher, driver.Subscriber) {
	t.Helper()
	pub, err := etcd.Driver{}.OpenPublisher(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pub.Close() })
	sub, err := etcd.Driver{}.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	if len(topics) > 0 {
		if err := sub.Subscribe(t.Context(), topics...); err != nil {
			t.Fatal(err)
		}
	}
	return pub, sub
}
