package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"

	"github.com/nats-io/nats-server/v2/server"
)

// Options say how a server runs. The zero value is one on a free port of this
// machine.
type Options struct {
	// Host is the address to listen on, "*" for all; default "127.0.0.1". Port
	// is the port; 0: a free one.
	Host string
	Port int
	// Name names the server in its cluster; default: a random one.
	Name string

	// Cluster names a cluster; "": none. ClusterListen is the host:port for
	// its other servers, and Routes are where those listen: host:port. Each
	// server needs only one that is there.
	Cluster       string
	ClusterListen string
	Routes        []string

	// JetStream keeps streams, in StoreDir.
	JetStream bool
	StoreDir  string

	// User and Password, or Token, are what clients, and other servers of the
	// cluster, log in with, if set.
	User, Password, Token string
	// NKeys are the public keys of users who may log in with the seeds.
	NKeys []string
	// TLS encrypts the connections of clients, but for those inside the
	// process, and those between servers, which check one another's certificate
	// by its RootCAs.
	TLS *tls.Config

	// MaxPayload bounds one message with its header, in bytes; default 1 MiB
	// and 4 KiB.
	MaxPayload int
	// StartTimeout is how long the server may take to be ready; default 10 s.
	StartTimeout time.Duration
	// Log receives what the server logs; default: discarded.
	Log *slog.Logger
}

// Server is a NATS server in this process.
type Server struct {
	server *server.Server
	stop   func()

	url           string
	addr, cluster net.Addr // cluster is nil: none
}

// Start starts a server and waits until it takes connections.
func Start(ctx context.Context, o Options) (*Server, error) {
	so, err := o.server()
	if err != nil {
		return nil, err
	}
	ns, err := server.NewServer(so)
	if err != nil {
		return nil, err
	}
	log := &logger{log: o.Log, fatal: make(chan string, 1)}
	ns.SetLoggerV2(log, false, false, false)
	s := &Server{server: ns, stop: sync.OnceFunc(func() { ns.Shutdown(); ns.WaitForShutdown() })}
	if err := s.ready(ctx, log, &o); err != nil {
		s.stop()
		return nil, err
	}
	s.url, s.addr = ns.ClientURL(), ns.Addr()
	if a := ns.ClusterAddr(); a != nil {
		s.cluster = a
	}
	return s, nil
}

// ready starts the server and waits until it takes connections.
func (s *Server) ready(ctx context.Context, log *logger, o *Options) error {
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.server.Start()
	}()
	deadline := time.NewTimer(o.StartTimeout)
	defer deadline.Stop()
	for !s.server.ReadyForConnections(time.Millisecond) {
		select {
		case text := <-log.fatal:
			return explain(text)
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("the server was not ready after %v", o.StartTimeout)
		case <-time.After(5 * time.Millisecond):
		}
	}
	select {
	case <-started:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case text := <-log.fatal: // of JetStream or the cluster
		return explain(text)
	default:
		return nil
	}
}

func explain(text string) error {
	err := errors.New(strings.ToLower(text[:1]) + text[1:])
	if strings.Contains(text, "address already in use") {
		return driver.WithHint(err, "choose another port, or stop who has it")
	}
	return err
}

// server returns the options as the library wants them.
func (o *Options) server() (*server.Options, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = 10 * time.Second
	}
	if o.MaxPayload <= 0 {
		o.MaxPayload = 1<<20 + 4<<10
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	host := o.Host
	if host == "*" {
		host = "0.0.0.0"
	}
	port := o.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	so := &server.Options{
		ServerName: o.Name, Host: host, Port: port, NoSigs: true, NoLog: true,
		MaxPayload: int32(o.MaxPayload), JetStream: o.JetStream, StoreDir: o.StoreDir,
		Username: o.User, Password: o.Password, Authorization: o.Token,
		DisableJetStreamBanner: true,
	}
	if o.TLS != nil {
		so.TLS, so.TLSConfig, so.TLSTimeout = true, o.TLS, 5
	}
	for _, key := range o.NKeys {
		so.Nkeys = append(so.Nkeys, &server.NkeyUser{Nkey: key})
	}
	if o.JetStream && o.StoreDir == "" {
		return nil, errors.New("no directory for JetStream")
	}
	return so, o.cluster(so)
}

func (o *Options) cluster(so *server.Options) error {
	if o.Cluster == "" {
		if o.ClusterListen != "" || len(o.Routes) > 0 {
			return errors.New("routes without the name of a cluster")
		}
		return nil
	}
	host, text, err := net.SplitHostPort(o.ClusterListen)
	if err != nil {
		return driver.WithHint(fmt.Errorf("cluster address %q: %w", o.ClusterListen, err), "write host:port")
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return driver.WithHint(fmt.Errorf("cluster address %q: %w", o.ClusterListen, err), "write host:port")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	so.Cluster = server.ClusterOpts{Name: o.Cluster, Host: host, Port: port}
	var login *url.Userinfo
	switch { // whoever is a route gets everything
	case o.User != "" || o.Password != "":
		login = url.UserPassword(o.User, o.Password)
	case o.Token != "":
		login = url.UserPassword("token", o.Token)
	}
	if login != nil {
		so.Cluster.Username = login.Username()
		so.Cluster.Password, _ = login.Password()
		so.Cluster.AuthTimeout = 5
	}
	if o.TLS != nil {
		so.Cluster.TLSConfig, so.Cluster.TLSTimeout = o.TLS.Clone(), 5
	}
	for _, route := range o.Routes {
		if _, _, err := net.SplitHostPort(route); err != nil {
			return driver.WithHint(fmt.Errorf("route %q: %w", route, err), "write host:port")
		}
		so.Routes = append(so.Routes, &url.URL{Scheme: "nats", Host: route, User: login})
	}
	return nil
}

// URL is where clients connect to.
func (s *Server) URL() string { return s.url }

// Addr is where the server listens for clients, or did.
func (s *Server) Addr() net.Addr { return s.addr }

// ClusterAddr is where it listens for other servers of its cluster; nil: it
// does not.
func (s *Server) ClusterAddr() net.Addr { return s.cluster }

// InProcessConn implements nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// Peers is how many other servers of the cluster are connected.
func (s *Server) Peers() int {
	z, err := s.server.Routez(nil)
	if err != nil {
		return 0
	}
	servers := make(map[string]bool)
	for _, r := range z.Routes {
		servers[r.RemoteID] = true
	}
	return len(servers)
}

// Clients is how many clients are connected.
func (s *Server) Clients() int { return s.server.NumClients() }

// Shutdown stops the server and waits for its end. It is idempotent.
func (s *Server) Shutdown() { s.stop() }

// drainPatience is for how long a drain waits for a client that takes nothing.
const drainPatience = time.Second

// drain waits until what the server took in has been handed to the sockets of
// all clients and servers, but for those that take nothing.
func (s *Server) drain(ctx context.Context) error {
	const tick = 5 * time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	least, still := -1, time.Duration(0)
	for {
		pending := s.pending()
		switch {
		case pending == 0:
			return nil
		case least < 0 || pending < least:
			least, still = pending, 0
		case still >= drainPatience:
			return fmt.Errorf("%d bytes are left for clients that take nothing", pending)
		}
		select {
		case <-t.C:
			still += tick
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pending is how many bytes wait for clients and servers.
func (s *Server) pending() int {
	n := 0
	if z, err := s.server.Connz(&server.ConnzOptions{Limit: 1 << 20}); err == nil {
		for _, c := range z.Conns {
			n += c.Pending
		}
	}
	if z, err := s.server.Routez(nil); err == nil {
		for _, r := range z.Routes {
			n += r.Pending
		}
	}
	return n
}

// logger is the server's log, in ours.
type logger struct {
	log   *slog.Logger
	fatal chan string
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}

func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
