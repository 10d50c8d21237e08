package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process of ours, and the parent's view of it.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	tail  *tail

	replies chan Message  // that are not stats; closed when it has none any more
	done    chan struct{} // closed when the process has ended
	err     error         // how; valid after done

	mu    sync.Mutex
	stats Stats // the latest
	pace  pace  // of stats.Events
	quits bool  // it may end now
}

// start runs the parent's own binary. The child is in a process group of its
// own, so that Ctrl-C reaches the parent only, which ends it in order.
func start(name, executable string, args ...string) (*child, error) {
	c := &child{
		name:    name,
		cmd:     exec.Command(executable, args...),
		tail:    &tail{},
		replies: make(chan Message, 16),
		done:    make(chan struct{}),
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = c.tail
	c.cmd.WaitDelay = time.Second
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go c.watch(stdout)
	return c, nil
}

// watch receives what the child says until it says no more, and then waits for
// its end. It ends with the child.
func (c *child) watch(stdout io.Reader) {
	d := json.NewDecoder(stdout)
	for {
		var m Message
		if d.Decode(&m) != nil {
			break
		}
		c.mu.Lock()
		c.stats = m.Stats
		c.pace.add(time.Now(), m.Stats.Events)
		c.mu.Unlock()
		if m.Kind == KindStats {
			continue
		}
		select {
		case c.replies <- m:
		default: // nobody asked for as many
		}
	}
	// A child that says what is no JSON must not block on a full pipe.
	io.Copy(io.Discard, stdout)
	err := c.cmd.Wait()
	c.mu.Lock()
	if !c.quits || err != nil {
		c.err = c.failure(err)
	}
	c.mu.Unlock()
	close(c.replies)
	close(c.done)
}

// failure describes an end that was none of ours.
func (c *child) failure(err error) error {
	reason := "it ended"
	if err != nil {
		reason = err.Error()
	}
	if last := c.tail.String(); last != "" {
		reason += ": " + last
	}
	return fmt.Errorf("%s (process %d): %s", c.name, c.pid(), reason)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// latest returns the latest counters, and how many events per second that is.
func (c *child) latest() (Stats, float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats, c.pace.rate()
}

// pace is a counter over the last seconds. It goes by when the child spoke, and
// not by when somebody looks.
type pace struct{ samples []sample }

type sample struct {
	at     time.Time
	events uint64
}

const paceTime = 2 * time.Second

func (p *pace) add(at time.Time, events uint64) {
	p.samples = append(p.samples, sample{at, events})
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= paceTime {
		p.samples = p.samples[1:]
	}
}

// rate returns events per second.
func (p *pace) rate() float64 {
	if len(p.samples) < 2 {
		return 0
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	return float64(last.events-first.events) / max(last.at.Sub(first.at).Seconds(), 1e-3)
}

// expectEnd says that the child is about to be told to end.
func (c *child) expectEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quits = true
}

func (c *child) send(cmd Command) error {
	line, err := json.Marshal(cmd)
	if err != nil {
		return fmt.Errorf("command %s: %w", c.name, err)
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		select { // why it does not listen says more
		case <-c.done:
			return c.ended()
		case <-time.After(time.Second):
			return fmt.Errorf("command %s: %w", c.name, err)
		}
	}
	return nil
}

// await returns the next message of a kind; others are dropped.
func (c *child) await(ctx context.Context, kind string) (Message, error) {
	for {
		select {
		case m, ok := <-c.replies:
			if !ok {
				<-c.done
				return Message{}, c.ended()
			}
			if m.Kind == kind {
				return m, nil
			}
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait until %s says %q: %w", c.name, kind, ctx.Err())
		}
	}
}

// awaitEnd waits until the child has ended well.
func (c *child) awaitEnd(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", c.name, ctx.Err())
	}
}

// ended is the error of a child that should not have ended.
func (c *child) ended() error {
	if c.err != nil {
		return c.err
	}
	return fmt.Errorf("%s (process %d) has ended", c.name, c.pid())
}

// endTimeout is how long a child may take to end after its standard input did.
const endTimeout = 2 * time.Second

// end ends the child, whatever it is doing, and waits for it.
func (c *child) end() {
	c.expectEnd()
	c.stdin.Close() // it may have ended before
	select {
	case <-c.done:
		return
	case <-time.After(endTimeout):
	}
	c.cmd.Process.Kill() // it may have ended just now
	<-c.done
}

// tail keeps the last lines that were written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const (
	tailBytes = 4096
	tailLines = 3
)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text); n > 2*tailBytes {
		t.text = append(t.text[:0], t.text[n-tailBytes:]...)
	}
	return len(p), nil
}

// String returns the last lines as one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.text), []byte("\n"))
	var last []string
	for _, l := range lines[max(0, len(lines)-tailLines):] {
		last = append(last, strings.TrimPrefix(strings.TrimSpace(string(l)), "wyvern: "))
	}
	return strings.Join(last, "; ")
}
