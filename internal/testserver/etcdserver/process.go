package etcdserver

import (
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
	// Not Close: it would wait for the streams of those who don't let go.
	r.(inProcess).etcd.Server.Stop()
	return nil
}

// outOfProcess is a server in a process of its own. No goroutine watches it, so
// that a test may start one and still find what it left.
type outOfProcess struct {
	cmd *exec.Cmd
	in  io.Closer
	out io.ReadCloser
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
	r := &outOfProcess{cmd: exec.Command(self)}
	r.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	r.cmd.Stderr = os.Stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if r.out, err = r.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return r, r.cmd.Start()
}

func (r *outOfProcess) ready(timeout time.Duration) error {
	late := time.AfterFunc(timeout, func() { r.cmd.Process.Kill() })
	defer late.Stop()
	if _, err := io.ReadFull(r.out, make([]byte, 1)); err != nil {
		return fmt.Errorf("its process ended, or was not ready in %v: %w", timeout, err)
	}
	return nil
}

func (r *outOfProcess) stop() {
	r.in.Close()
	r.cmd.Wait()
}

// kill is kill -9.
func (r *outOfProcess) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}
