package etcdserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// startTimeout is how long a server may take to be ready.
const startTimeout = 30 * time.Second

// Options say what a server is like. The zero value works.
type Options struct {
	// Process runs the server in a process of its own, which Kill kills. The
	// test's binary runs itself again for that: its TestMain must call Main.
	Process bool
	// Cert, Key and CA are files (PEM). With Cert the server speaks TLS; with
	// CA it demands a client's certificate that CA signed.
	Cert, Key, CA string
	// TokenTTL is how long a simple token lives when nobody uses it; default
	// 5 minutes. In whole seconds.
	TokenTTL time.Duration
	// MaxRequestBytes and MaxTxnOps are as etcd's options; default etcd's.
	MaxRequestBytes, MaxTxnOps uint
}

// Server is one member of a cluster, or all of it.
type Server struct {
	t       testing.TB
	options Options
	spec    spec

	mu      sync.Mutex
	running runner // nil: it doesn't run
}

// spec is what a server is started with. It travels to its process.
type spec struct {
	Options
	Name, Dir, Client, Peer, Cluster string
}

// runner is a server that runs.
type runner interface {
	// ready blocks until it serves, or says why not.
	ready(timeout time.Duration) error
	// stop ends it in order, kill does not. Both wait.
	stop()
	kill()
}

// Start starts a server of its own, to be stopped with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := newServer(t, o, "one")
	s.spec.Cluster = s.spec.Name + "=" + s.spec.Peer
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

func newServer(t testing.TB, o Options, name string) *Server {
	t.Helper()
	scheme := "http://"
	if o.Cert != "" {
		scheme = "https://"
	}
	return &Server{t: t, options: o, spec: spec{
		Options: o, Name: name, Dir: filepath.Join(t.TempDir(), name),
		Client: scheme + freeport.Address(t), Peer: "http://" + freeport.Address(t),
	}}
}

// Endpoint returns the URL for clients.
func (s *Server) Endpoint() string { return s.spec.Client }

// Address returns host:port for clients.
func (s *Server) Address() string {
	u, err := url.Parse(s.spec.Client)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Host
}

// Restart starts the server where it was, with what it had. It blocks until it
// serves.
func (s *Server) Restart() {
	s.t.Helper()
	s.launch()
	s.await()
}

func (s *Server) launch() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.t.Fatalf("server %s runs already", s.spec.Name)
	}
	start := embedded
	if s.options.Process {
		start = process
	}
	r, err := start(s.spec)
	if err != nil {
		s.t.Fatalf("start etcd %s: %v", s.spec.Name, err)
	}
	s.running = r
}

func (s *Server) await() {
	s.t.Helper()
	if err := s.running.ready(startTimeout); err != nil {
		s.t.Fatalf("etcd %s: %v", s.spec.Name, err)
	}
}

// Stop ends the server in order. It does nothing if the server doesn't run.
func (s *Server) Stop() { s.end(runner.stop) }

// Kill ends the server at once: with Process by SIGKILL, else by taking away
// its connections and then closing it.
func (s *Server) Kill() { s.end(runner.kill) }

func (s *Server) end(how func(runner)) {
	s.mu.Lock()
	r := s.running
	s.running = nil
	s.mu.Unlock()
	if r != nil {
		how(r)
	}
}

// Forget removes what the server had. It must not run.
func (s *Server) Forget() {
	s.t.Helper()
	if s.Runs() {
		s.t.Fatalf("server %s runs", s.spec.Name)
	}
	if err := os.RemoveAll(s.spec.Dir); err != nil {
		s.t.Fatal(err)
	}
}

// Runs says whether the server was started and not stopped since.
func (s *Server) Runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running != nil
}

// Client returns a client of this server alone, to be closed with the test.
// edit may be nil.
func (s *Server) Client(edit func(*clientv3.Config)) *clientv3.Client {
	s.t.Helper()
	cfg := clientv3.Config{Endpoints: []string{s.Endpoint()}, DialTimeout: startTimeout, Logger: zap.NewNop()}
	if s.options.Cert != "" {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true} // it is our own, on the loopback
	}
	if edit != nil {
		edit(&cfg)
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		s.t.Fatalf("connect to etcd %s: %v", s.spec.Name, err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Cluster is three members.
type Cluster struct {
	t       testing.TB
	Members []*Server
}

// StartCluster starts three members, to be stopped with the test.
func StartCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	var initial []string
	for i := range 3 {
		s := newServer(t, o, fmt.Sprintf("member%d", i))
		c.Members = append(c.Members, s)
		initial = append(initial, s.spec.Name+"="+s.spec.Peer)
	}
	for _, s := range c.Members {
		s.spec.Cluster = strings.Join(initial, ",")
		s.launch()
		t.Cleanup(s.Stop)
	}
	for _, s := range c.Members {
		s.await()
	}
	return c
}

// Endpoints returns the URLs of all members.
func (c *Cluster) Endpoints() (urls []string) {
	for _, s := range c.Members {
		urls = append(urls, s.Endpoint())
	}
	return urls
}

// Leader returns the member that leads. It blocks until there is one among
// those that run.
func (c *Cluster) Leader() *Server {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for ctx.Err() == nil {
		for _, s := range c.Members {
			if s.Runs() && s.leads(ctx) {
				return s
			}
		}
	}
	c.t.Fatal("no member leads")
	return nil
}

// leads says whether the server takes itself for the leader.
func (s *Server) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client := s.Client(nil)
	defer client.Close()
	status, err := client.Status(ctx, s.Endpoint())
	return err == nil && status.Leader == status.Header.MemberId
}
