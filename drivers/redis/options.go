package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/params"
)

// The modes: how servers belong together.
const (
	standalone = "standalone"
	sentinel   = "sentinel"
	cluster    = "cluster"
)

var table = append([]driver.Option{
	params.Servers("$df.remote_db_hosts", "Where Redis is: host:port, redis://user:password@host:port/db, or rediss:// for TLS. "+
		"In mode standalone exactly one; in mode sentinel all Sentinels; in mode cluster some nodes, which tell of the others."),
	params.Choice("mode", "How the servers belong together.", standalone, sentinel, cluster),
	params.Text("sentinel_master", "mymaster", "The name by which Sentinels know the master."),
	params.Text("user", "", "User to log in as. Empty: the default user."),
	params.Secret("password", "Password of the user."),
	params.Text("sentinel_user", "", "User to log in as at Sentinels. Empty: the default user."),
	params.Secret("sentinel_password", "Password at Sentinels."),
	params.Int("db", 0, 0, 1<<16, "Number of the database that has the streams. Pub/Sub knows no databases; a cluster has only 0."),
	params.Text("channel_prefix", "", "The channels of Pub/Sub begin with it, and the topic follows. Dragonflow knows none."),
	prefix(),
	params.Int("stream_length", 1000, 1, 1<<40, "How many events a stream keeps, that is, each topic. Redis may keep some more."),
	params.Duration("stream_age", "0", time.Second, 10000*time.Hour,
		"For how long events are kept, instead of how many. 0: stream_length counts."),
	params.Duration("stream_expire", "24h", time.Minute, 10000*time.Hour,
		"A stream without a new event for this long is removed. 0: never."),
}, params.TLS()...)

func prefix() driver.Option {
	o := params.Text("stream_prefix", "wyvern:", "The keys of streams begin with it.")
	o.Valid = "text without braces"
	o.Check = func(text string) error {
		if strings.ContainsAny(text, "{}") {
			return errors.New("braces decide where Redis Cluster keeps a key, and are not for a prefix")
		}
		return nil
	}
	return o
}

// account is who we are to a server.
type account struct {
	user, password string
	db             int
}

// options are what a configuration says, understood.
type options struct {
	mode     string
	addrs    []string
	master   string
	server   account
	sentinel account
	tls      *tls.Config
	channels string // what they begin with
	prefix   string // of keys
	length   int64
	age      time.Duration
	expire   time.Duration
}

func parse(cfg driver.Config) (options, error) {
	v, err := params.Parse(cfg.Params, table)
	if err != nil {
		return options{}, err
	}
	o := options{
		mode: v.Text("mode"), master: v.Text("sentinel_master"), prefix: v.Text("stream_prefix"), channels: v.Text("channel_prefix"),
		server:   account{v.Text("user"), v.Text("password"), int(v.Int("db"))},
		sentinel: account{user: v.Text("sentinel_user"), password: v.Text("sentinel_password")},
		length:   v.Int("stream_length"), age: v.Duration("stream_age"), expire: v.Duration("stream_expire"),
	}
	if o.tls, err = v.TLS(); err != nil {
		return options{}, err
	}
	for _, text := range cfg.Servers {
		if err := o.add(text); err != nil {
			return options{}, driver.WithHint(err, "write host:port, or redis://user:password@host:port/db, or rediss:// for TLS")
		}
	}
	switch {
	case len(o.addrs) == 0:
		return options{}, driver.WithHint(errors.New("no server"), "set servers to where Redis is, as host:port")
	case o.mode == standalone && len(o.addrs) > 1:
		return options{}, driver.WithHint(fmt.Errorf("mode is standalone, but there are %d servers: events that one gets the others don't have", len(o.addrs)),
			"set mode to cluster, or to sentinel if these are Sentinels, or name one server")
	case o.mode == cluster && o.server.db != 0:
		return options{}, driver.WithHint(fmt.Errorf("db = %d: Redis Cluster has no databases but 0", o.server.db), "leave db out")
	}
	return o, nil
}

// add adds a server.
func (o *options) add(text string) error {
	port := "6379"
	if o.mode == sentinel {
		port = "26379"
	}
	if !strings.Contains(text, "://") {
		addr, err := join(text, port)
		o.addrs = append(o.addrs, addr)
		return err
	}
	u, err := url.Parse(text)
	if err != nil {
		// Its error shows the password.
		return errors.New("a server's URL can't be understood")
	}
	shown := driver.Redact(text)
	switch u.Scheme {
	case "redis":
	case "rediss":
		if o.tls == nil {
			o.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	default:
		return fmt.Errorf("server %q: unknown scheme %q", shown, u.Scheme)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("server %q: parameters are options, not parts of the URL", shown)
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if o.server.db, err = strconv.Atoi(path); err != nil || o.server.db < 0 {
			return fmt.Errorf("server %q: %q is no number of a database", shown, path)
		}
	}
	if u.User != nil {
		a := &o.server
		if o.mode == sentinel {
			a = &o.sentinel
		}
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
	addr, err := join(u.Host, port)
	o.addrs = append(o.addrs, addr)
	return err
}

// join returns host:port, with a port.
func join(text, port string) (string, error) {
	host, given, err := net.SplitHostPort(text)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	} else if given != "" {
		port = given
	}
	if host == "" || strings.ContainsAny(host, " /@\t") || strings.Count(host, ":") == 1 {
		return "", fmt.Errorf("server %q is no address", driver.Redact(text))
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("server %q: %q is no port", driver.Redact(text), port)
	}
	return net.JoinHostPort(host, port), nil
}
