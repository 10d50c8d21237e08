package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is the parent's end of a child.
type process struct {
	name     string
	address  string // that it said it's bound to
	cmd      *exec.Cmd
	in       io.WriteCloser
	messages chan message  // closed when its output ends
	quit     chan struct{} // closed by close
	stderr   tail
}

// startProcess starts a child and returns when it's ready. The caller closes it,
// also when there was an error.
func startProcess(ctx context.Context, progress *os.File, j job) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{
		name:     strings.TrimSuffix(j.Role+" "+j.Kind, " "),
		cmd:      exec.Command(self, roleArgument),
		messages: make(chan message),
		quit:     make(chan struct{}),
	}
	p.cmd.ExtraFiles = []*os.File{progress} // progressFd
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go p.listen(out)

	if err := p.tell(message{Kind: msgJob, Job: &j}); err != nil {
		return p, err
	}
	m, err := p.await(ctx, msgReady)
	p.address = m.Address
	return p, err
}

func (p *process) listen(out io.Reader) {
	defer close(p.messages)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			m = message{Kind: msgError, Error: "bad message: " + err.Error()}
		}
		select {
		case p.messages <- m:
		case <-p.quit:
			return
		}
	}
}

func (p *process) tell(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell %s to %s: %w%s", p.name, m.Kind, err, p.stderr.hint())
	}
	return nil
}

// await returns the next message, which must be of this kind.
func (p *process) await(ctx context.Context, kind string) (message, error) {
	select {
	case <-ctx.Done():
		return message{}, fmt.Errorf("%s: no %s: %w%s", p.name, kind, context.Cause(ctx), p.stderr.hint())
	case m, ok := <-p.messages:
		switch {
		case !ok:
			return m, fmt.Errorf("%s ended before %s%s", p.name, kind, p.stderr.hint())
		case m.NotBuilt:
			return m, fmt.Errorf("%s: %w", p.name, errNotBuilt)
		case m.Kind == msgError:
			return m, fmt.Errorf("%s: %s", p.name, m.Error)
		case m.Kind != kind:
			return m, fmt.Errorf("%s said %s, want %s", p.name, m.Kind, kind)
		}
		return m, nil
	}
}

// complaint is the error that a child reported which nobody has waited for.
func (p *process) complaint() error {
	select {
	case m, ok := <-p.messages:
		if ok && m.Kind == msgError {
			return fmt.Errorf("%s: %s", p.name, m.Error)
		}
	default:
	}
	return nil
}

// close ends the child, by force if it doesn't end by itself, and waits for it.
func (p *process) close() {
	close(p.quit)
	p.in.Close()
	ended := make(chan struct{})
	go func() {
		var exit *exec.ExitError
		if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
			fmt.Fprintf(os.Stderr, "compare: wait for %s: %v\n", p.name, err)
		}
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		p.cmd.Process.Kill() // an error means that it has ended
		<-ended
	}
}

// tail keeps the end of what a child writes to its standard error. exec's
// copying goroutine writes; hint reads when the child has failed.
type tail struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
}

const keepBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	t.buf = t.buf[max(0, len(t.buf)-keepBytes):]
	return len(p), nil
}

func (t *tail) hint() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := strings.TrimSpace(string(t.buf)); s != "" {
		return "; stderr: " + s
	}
	return ""
}
