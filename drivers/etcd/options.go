package etcd

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

const (
	defaultPrefix = "/pubsub/"
	defaultPort   = "2379"
	defaultServer = "127.0.0.1:" + defaultPort
)

var options = append([]driver.Option{
	params.Servers("$df.remote_db_hosts", "Members of the etcd cluster: host:port, http://host:port or https://host:port. The port is 2379 if none is given."),
	params.Text("user", "", "User to log in as. Empty: none."),
	params.Secret("password", "Password of the user."),
	params.Text("prefix", defaultPrefix, "What stands before a topic to make its key. Dragonflow's peers know only the default."),
	params.Duration("dial_timeout", "5s", 100*time.Millisecond, time.Minute, "How long one attempt to connect to a server may take."),
	params.Duration("progress_interval", "10s", 100*time.Millisecond, time.Hour,
		"How often it is noted up to which revision quiet topics have missed nothing, so that a compaction doesn't count as a loss for them. 0: never."),
}, params.TLS()...)

// settings are what the options say.
type settings struct {
	endpoints      []string // URLs
	tls            *tls.Config
	user, password string
	prefix         string
	dialTimeout    time.Duration
	progress       time.Duration
}

func parse(cfg driver.Config) (*settings, error) {
	v, err := params.Parse(cfg.Params, options)
	if err != nil {
		return nil, err
	}
	s := &settings{
		user: v.Text("user"), password: v.Text("password"), prefix: v.Text("prefix"),
		dialTimeout: v.Duration("dial_timeout"), progress: v.Duration("progress_interval"),
	}
	if s.tls, err = v.TLS(); err != nil {
		return nil, err
	}
	if s.prefix == "" {
		return nil, driver.WithHint(errors.New("prefix is empty: every key of the database would be a topic"), "the default is "+defaultPrefix)
	}
	if (s.user == "") != (s.password == "") {
		return nil, driver.WithHint(errors.New("user and password must be set together"), "a user who logs in by a certificate needs neither")
	}
	if s.dialTimeout == 0 {
		s.dialTimeout = cfg.HandshakeTimeout
	}
	servers := cfg.Servers
	if len(servers) == 0 {
		servers = []string{defaultServer}
	}
	secure := 0
	for _, server := range servers {
		u, err := endpoint(server, s.tls != nil)
		if err != nil {
			return nil, driver.WithHint(fmt.Errorf("server %q: %w", driver.Redact(server), err), "valid are host:port, http://host:port and https://host:port")
		}
		if u.Scheme == "https" {
			secure++
		}
		s.endpoints = append(s.endpoints, u.String())
	}
	switch {
	case secure > 0 && secure < len(servers):
		return nil, errors.New("servers: some are https and some are not")
	case secure > 0 && s.tls == nil:
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	case secure == 0 && s.tls != nil:
		return nil, driver.WithHint(errors.New("servers: http, but there are options for TLS"), "write https, or leave http:// out")
	}
	return s, nil
}

// endpoint returns the URL of a server.
func endpoint(server string, secure bool) (*url.URL, error) {
	if !strings.Contains(server, "://") {
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		server = scheme + server
	}
	u, err := url.Parse(server)
	if err != nil {
		var reason *url.Error
		if errors.As(err, &reason) {
			err = reason.Err // the rest repeats the server
		}
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("unknown scheme %q", u.Scheme)
	case u.User != nil:
		return nil, errors.New("it names a user: that is an option of its own")
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("something follows the port")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%s is no port", port)
	}
	return &url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port)}, nil
}

// rangeEnd returns the first key after all that begin with prefix, in etcd's
// way: a zero byte where there is none.
func rangeEnd(prefix string) []byte {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0}
}
