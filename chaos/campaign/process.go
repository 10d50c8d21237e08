//go:build linux

package campaign

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

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// process is one that the campaign started.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed when it has ended and all that it wrote was read

	mu       sync.Mutex
	expected bool           // it may end now
	err      error          // of Wait; after ended
	seen     map[string]int // how many lines of standard error had each of watched
	changed  chan struct{}
	marks    map[string]bool
}

// What is looked for in standard error.
const (
	saysReady   = "wyvern: ready: "
	saysFiles   = "too many open files"
	saysRace    = "WARNING: DATA RACE"
	saysPanic   = "panic: "
	saysFatal   = "fatal error: "
	killTimeout = 10 * time.Second
)

var watched = []string{saysReady, saysFiles, saysRace, saysPanic, saysFatal}

// spawn starts a program. text names it in the logs.
func (s *system) spawn(name, text, program string, args ...string) (*process, error) {
	p := &process{
		name: name, cmd: exec.Command(program, args...), ended: make(chan struct{}),
		seen: make(map[string]int), changed: make(chan struct{}), marks: make(map[string]bool),
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WYVERN_") && !strings.HasPrefix(v, "NOTIFY_SOCKET=") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, "PYTHONDONTWRITEBYTECODE=1", "GORACE=atexit_sleep_ms=0")
	if s.plant != "" {
		p.cmd.Env = append(p.cmd.Env, "WYVERN_PLANT="+s.plant, "WYVERN_PLANT_CLOCK="+s.clock())
	}
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	stderr, err3 := p.cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.stdin = stdin
	if err := s.spawner.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.wg.Go(func() {
		var readers sync.WaitGroup
		readers.Go(func() { p.readRecords(stdout, s.journal) })
		readers.Go(func() { p.readText(stderr, text, s.journal) })
		readers.Wait()
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err = err
		unexpected := !p.expected
		p.mu.Unlock()
		close(p.ended)
		if unexpected {
			s.fail(fmt.Sprintf("process %s (%d) has ended by itself: %v", name, p.pid(), err))
		}
		for _, what := range []string{saysRace, saysPanic, saysFatal} {
			if p.saw(what) > 0 {
				s.fail(fmt.Sprintf("process %s (%d): %s", name, p.pid(), what))
			}
		}
	})
	return p, nil
}

// readRecords takes the records that an actor writes.
func (p *process) readRecords(r io.Reader, j *journal) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		rec, err := validator.Parse(lines.Bytes())
		switch {
		case err != nil:
			// Who is killed may have written half a line.
			j.text(p.name, "unreadable: "+err.Error())
		case rec.Kind == actor.KindMark:
			p.mu.Lock()
			p.marks[rec.Reason] = true
			p.notifyLocked()
			p.mu.Unlock()
		default:
			j.add(rec)
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

func (p *process) readText(r io.Reader, name string, j *journal) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Text()
		j.text(name, line)
		for _, what := range watched {
			if strings.Contains(line, what) {
				p.mu.Lock()
				p.seen[what]++
				p.notifyLocked()
				p.mu.Unlock()
			}
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

func (p *process) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// saw returns how many lines of standard error had a text.
func (p *process) saw(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[what]
}

// until waits for a condition, which is evaluated under the lock.
func (p *process) until(ctx context.Context, what string, yes func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := yes(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-p.ended:
			return fmt.Errorf("%s has ended before %s: %w", p.name, what, p.result())
		case <-ctx.Done():
			return fmt.Errorf("wait until %s %s: %w", p.name, what, ctx.Err())
		}
	}
}

// await waits for a line of standard error.
func (p *process) await(ctx context.Context, what string) error {
	return p.until(ctx, fmt.Sprintf("says %q", what), func() bool { return p.seen[what] > 0 })
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// result is how it ended; valid after ended.
func (p *process) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// tell gives an order without waiting for the answer.
func (p *process) tell(o actor.Order) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("order %s: %w", p.name, err)
	}
	return nil
}

// order gives an order and waits for the answer.
func (p *process) order(ctx context.Context, o actor.Order) error {
	o.ID = newID()
	if err := p.tell(o); err != nil {
		return err
	}
	defer func() {
		p.mu.Lock()
		delete(p.marks, o.ID)
		p.mu.Unlock()
	}()
	return p.until(ctx, "has done "+o.Do, func() bool { return p.marks[o.ID] })
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %v to %s: %w", s, p.name, err)
	}
	return nil
}

// expect says that the process may end from now on.
func (p *process) expect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = true
}

// kill kills it and says whether it died of that.
func (p *process) kill() bool {
	p.expect()
	_ = p.signal(syscall.SIGKILL) // it may have ended
	<-p.ended
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// end waits for an end that was ordered, up to a time, and then kills.
func (p *process) end(within time.Duration) (status int, killed bool) {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.ended:
	case <-t.C:
		return -1, p.kill()
	}
	return p.cmd.ProcessState.ExitCode(), false
}

// state returns the letter of the process's state: T is stopped.
func (p *process) state() string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return "?"
	}
	// The name, in parentheses, may have spaces.
	_, rest, _ := strings.Cut(string(b), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}
