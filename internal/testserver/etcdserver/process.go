package etcdserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// childVariable tells a test's binary that it is to be a server.
const childVariable = "WYVERN_TEST_ETCD"

// Main turns the process into a server if it was started as one, and then does
// not return. Otherwise it does nothing.
func Main() {
	text := os.Getenv(childVariable)
	if text == "" {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs until standard input ends, which it does with the parent, too. One
// byte on standard output says that it is ready.
func serve(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	r, err := embedded(s)
	if err != nil {
		return err
	}
	if err := r.ready(startTimeout); err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	r.stop()
	return nil
}

// outOfProcess is a server in a process of its own.
type outOfProcess struct {
	cmd   *exec.Cmd
	in    io.Closer
	up    chan error // one value: nil when it is ready
	ended chan struct{}
}

func process(s spec) (runner, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &outOfProcess{up: make(chan error, 1), ended: make(chan struct{})}
	r.cmd = exec.CommandContext(context.Background(), self)
	r.cmd.Env = append(os.Environ(), childVariable+"="+string(text), "GOMAXPROCS=2", "GODEBUG=")
	r.cmd.Stderr = os.Stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(r.ended)
		_, err := io.ReadFull(out, make([]byte, 1))
		r.up <- err
		io.Copy(io.Discard, out) // until it ends
		r.cmd.Wait()
	}()
	return r, nil
}

func (r *outOfProcess) ready(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-r.up:
		if err != nil {
			return fmt.Errorf("its process ended: %w", err)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("not ready in %v", timeout)
	}
}

func (r *outOfProcess) stop() {
	r.in.Close()
	<-r.ended
}

// kill is kill -9.
func (r *outOfProcess) kill() {
	r.cmd.Process.Kill()
	<-r.ended
	r.in.Close()
}
