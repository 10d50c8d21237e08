package nats

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/params"

	client "github.com/nats-io/nats.go"
)

const defaultServer = "nats://127.0.0.1:4222"

// Options are what a configuration may say to the drivers of this group: those
// of package embedded too, so that there is one section for all.
func Options() []driver.Option { return options }

var options = append([]driver.Option{
	params.Servers(defaultServer, "NATS servers: nats://host:port or tls://host:port. One of a cluster is enough: it names the others."),
	params.Text("user", "", "User to log in as; of nats_embedded, what nodes, and the other servers of its cluster, log in as."),
	params.Secret("password", "Password of user."),
	params.Secret("token", "Token to log in with, where the servers ask for one."),
	params.File("credentials", "Credentials file (.creds: a JWT and its key) to log in with."),
	params.File("nkey_seed", "File with the seed of an NKey to log in with."),
	{
		Name: "prefix", Default: "wyvern",
		Help:  "What subjects begin with: the topic is one more token below it.",
		Valid: "tokens of letters, digits, -, _ and :, with dots between", Check: checkPrefix,
	},
	params.Int("inbox_bytes", 16<<20, 1<<20, 1<<40,
		"How many bytes of events may wait in a subscriber that does not read. At least four times the largest payload is taken."),
	params.Text("stream", "wyvern", "nats_jetstream: name of the stream that keeps the events."),
	params.Bool("stream_create", true, "nats_jetstream: create the stream where it is missing. One that exists is checked and never changed."),
	params.Duration("stream_max_age", "1h", time.Second, 10*365*24*time.Hour, "nats_jetstream: for how long a stream that is created keeps events; 0: for ever."),
	params.Int("stream_max_bytes", 256<<20, 1<<20, 1<<50, "nats_jetstream: how many bytes of events it keeps."),
	params.Int("stream_replicas", 1, 1, 5, "nats_jetstream: on how many servers it keeps them."),
	params.Choice("stream_storage", "nats_jetstream: where it keeps them.", "file", "memory"),
	params.Text("cluster_name", "", "nats_embedded: the cluster that the servers of several services form; empty: each is alone."),
	params.Text("cluster_listen", "0.0.0.0:6222", "nats_embedded: where a service listens for the other ones of its cluster: host:port."),
	params.Text("routes", "", "nats_embedded: where the other ones listen: host:port, with commas between. One that is there is enough."),
	params.Bool("jetstream", false, "nats_embedded: the server has JetStream, for clients that want it."),
	params.Text("store_dir", "", "nats_embedded: the directory where that keeps streams."),
	params.Text("jetstream_domain", "", "nats_jetstream: JetStream domain of the stream, if it is not that of the servers."),
}, params.TLS()...)

// settings are a configuration, understood.
type settings struct {
	cfg      driver.Config
	subjects subjects
	inbox    int64
	stream   streamSettings
	values   params.Values
	tls      *tls.Config
	logins   string // which credentials were given, for people
}

// streamSettings say how the stream is to be.
type streamSettings struct {
	name, domain string
	create       bool
	maxAge       time.Duration
	maxBytes     int64
	replicas     int
	memory       bool
}

func parse(cfg driver.Config) (*settings, error) {
	v, err := params.Parse(cfg.Params, options)
	if err != nil {
		return nil, err
	}
	s := &settings{cfg: cfg.WithDefaults(), values: v, stream: streamSettings{
		name: v.Text("stream"), domain: v.Text("jetstream_domain"), create: v.Bool("stream_create"),
		maxAge: v.Duration("stream_max_age"), maxBytes: v.Int("stream_max_bytes"),
		replicas: int(v.Int("stream_replicas")), memory: v.Text("stream_storage") == "memory",
	}}
	if err := checkName(s.stream.name); err != nil {
		return nil, err
	}
	if s.tls, err = v.TLS(); err != nil {
		return nil, err
	}
	s.subjects = subjects{v.Text("prefix") + "."}
	s.inbox = max(v.Int("inbox_bytes"), 4*int64(s.cfg.MaxPayload))
	return s, nil
}

func checkName(stream string) error {
	if stream == "" || strings.ContainsAny(stream, ".*>/\\ \t\r\n") {
		return fmt.Errorf("stream = %q: not a name without dots, wildcards, slashes and spaces", stream)
	}
	return nil
}

// clientOptions are those of every connection to the servers.
func (s *settings) clientOptions(servers []string) (client.Options, error) {
	o := client.GetDefaultOptions()
	if len(servers) == 0 {
		servers = []string{defaultServer}
	}
	for _, server := range servers {
		url, err := checkServer(server)
		if err != nil {
			return o, err
		}
		o.Servers = append(o.Servers, url)
	}
	o.TLSConfig, o.Secure = s.tls, s.tls != nil
	return o, s.login(&o)
}

// login sets the credentials.
func (s *settings) login(o *client.Options) error {
	v := s.values
	var given []string
	if o.User, o.Password = v.Text("user"), v.Text("password"); o.User != "" || o.Password != "" {
		given = append(given, "user")
	}
	if o.Token = v.Text("token"); o.Token != "" {
		given = append(given, "token")
	}
	if file := v.Text("credentials"); file != "" {
		given = append(given, "credentials")
		if err := client.UserCredentials(file)(o); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	if file := v.Text("nkey_seed"); file != "" {
		given = append(given, "nkey_seed")
		option, err := client.NkeyOptionFromSeed(file)
		if err == nil {
			err = option(o)
		}
		if err != nil {
			return driver.WithHint(fmt.Errorf("nkey_seed: %w", err), "the file holds one line that begins with SU")
		}
	}
	if len(given) > 1 {
		return fmt.Errorf("%s: more than one way to log in", strings.Join(given, ", "))
	}
	s.logins = strings.Join(given, "")
	return nil
}

// checkServer returns a server's URL as the client wants it.
func checkServer(server string) (string, error) {
	bad := func(why string) error {
		return driver.WithHint(fmt.Errorf("bad server %q: %s", driver.Redact(server), why), "write nats://host:port or tls://host:port")
	}
	text := server
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", bad("not a URL")
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	case "tcp":
		u.Scheme = "nats"
	default:
		return "", bad("unknown scheme " + u.Scheme)
	}
	if u.Hostname() == "" {
		return "", bad("no host")
	}
	if u.Path != "" && u.Path != "/" && u.Scheme[0] != 'w' {
		return "", bad("it has a path")
	}
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", bad("no port")
		}
		u.Host = net.JoinHostPort(u.Hostname(), "4222")
	}
	return u.String(), nil
}

func redacted(servers []string) []string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = driver.Redact(s)
	}
	return names
}
