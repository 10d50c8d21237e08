// Package natsserver runs NATS servers in the test's process, configured as their
// operators do it: users, permissions, accounts, limits. What needs none of that
// uses package drivers/nats/embedded.
//
// # Usage
//
//	s := natsserver.Start(t, "max_payload: 20000")
//	s.Reload("max_payload: 10000")
//	o := natsserver.StartOperated(t, "")        // o.Credentials(...)
//
// A server listens on a free port of 127.0.0.1, and ends with the test.
package natsserver

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout is how long a server may take to be ready.
const startTimeout = 20 * time.Second

// Server is one server.
type Server struct {
	*server.Server
	t   testing.TB
	dir string
}

// Start starts a server with a configuration, in which no port is set.
func Start(t testing.TB, text string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	var err error
	if s.Server, err = server.NewServer(s.options(text)); err != nil {
		t.Fatal(err)
	}
	go s.Server.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(startTimeout) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

// Reload gives the server another configuration, as a signal does.
func (s *Server) Reload(text string) {
	s.t.Helper()
	if err := s.ReloadOptions(s.options(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) options(text string) *server.Options {
	s.t.Helper()
	file := filepath.Join(s.dir, "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	if o.JetStream {
		o.StoreDir = filepath.Join(s.dir, "streams")
	}
	return o
}
