package redisserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/wyvern-pubsub/wyvern/internal/testserver/freeport"
)

// startTimeout bounds what servers take to start, or to find one another.
const startTimeout = 30 * time.Second

// Server is one process.
type Server struct {
	// Addr is where it listens.
	Addr string

	t    testing.TB
	path string // of the program
	args []string
	dir  string
	log  string
	cmd  *exec.Cmd
	opts goredis.Options
}

// Start starts a server. args are as on the command line, and win over what it is
// told otherwise: nothing is saved to disk.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", append([]string{"--save", "", "--appendonly", "no"}, args...)...)
	s.Run()
	return s
}

// StartTLS starts a server that speaks only TLS. Do, Try and Info can't be used.
func StartTLS(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", append([]string{"--save", "", "--appendonly", "no"}, args...)...)
	s.args = append(s.args, "--port", "0", "--tls-port", port(s.Addr))
	s.Run()
	return s
}

// prepare makes a server that is not running yet.
func prepare(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed; hint: make deps", program)
	}
	s := &Server{t: t, Addr: freeport.Address(t), path: path, dir: t.TempDir()}
	s.log = filepath.Join(s.dir, "log")
	s.args = append([]string{"--port", port(s.Addr), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", s.log,
		"--shutdown-timeout", "0"}, args...)
	s.opts = goredis.Options{
		Addr: s.Addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	t.Cleanup(s.Kill)
	return s
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// Auth has Do and Wait log in.
func (s *Server) Auth(user, password string) { s.opts.Username, s.opts.Password = user, password }

// Run starts the process, again if it has ended, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	s.begin()
	s.Wait("an answer", func() bool {
		_, err := s.Try("PING")
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH") || s.tls()
	})
}

// tls tells whether it speaks TLS only, so that it can't be asked.
func (s *Server) tls() bool {
	for _, a := range s.args {
		if a == "--tls-port" {
			return s.listens()
		}
	}
	return false
}

func (s *Server) listens() bool {
	c, err := net.Dial("tcp", s.Addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func (s *Server) begin() {
	s.t.Helper()
	s.cmd = exec.Command(s.path, s.args...)
	s.cmd.Dir = s.dir
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// Pid is the process's number.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process without a word, if it is running.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Stop ends the process in order.
func (s *Server) Stop() { s.signal(syscall.SIGTERM) }

// Pause stops the process without ending it: its connections stay.
func (s *Server) Pause() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume has it go on.
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Do sends a command and returns the answer. An error fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Try is Do for commands that may fail. Nil is no failure.
func (s *Server) Try(args ...any) (any, error) {
	if !s.listens() {
		return nil, syscall.ECONNREFUSED // the library would log it
	}
	o := s.opts
	c := goredis.NewClient(&o)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	v, err := c.Do(ctx, args...).Result()
	if err == goredis.Nil {
		err = nil
	}
	return v, err
}

// Info returns one line of what INFO says.
func (s *Server) Info(name string) string {
	v, _ := s.Try("INFO", "everything")
	text, _ := v.(string)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}

// Wait waits for something that the server does in its own time.
func (s *Server) Wait(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for !ok() {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(s.log)
			s.t.Fatalf("%s: waited in vain for %s; its log:\n%s", s.Addr, what, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
