//go:build linux

package actor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/service"
)

const (
	// atMost is how long a test waits for what should come soon.
	atMost = 20 * time.Second
	python = "/usr/bin/python3"
)

// serve runs a publisher service until the test ends.
func serve(t *testing.T) (socket, uri string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "act-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan service.Info, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, service.Config{
			ID:      "p",
			Network: service.Hop{Alias: "zmq_pubsub_driver", Config: driver.Config{BindAddress: "127.0.0.1"}},
			IPC:     service.Hop{Alias: "zmq_pubsub_multiproc_driver", Config: driver.Config{Socket: socket}},
			Ready:   func(i service.Info) { ready <- i },
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("service: %v", err)
		}
		os.RemoveAll(dir)
	})
	select {
	case i := <-ready:
		return socket, "tcp://" + i.Network.String()
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return "", ""
}

// running is an actor under test.
type running struct {
	in    io.WriteCloser
	marks chan string
	ended chan error
	next  int
}

// records collects what actors tell.
type records struct {
	mu  sync.Mutex
	all []validator.Record
}

// take reads an actor's records until the end.
func (r *records) take(t *testing.T, out io.Reader, marks chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		rec, err := validator.Parse(lines.Bytes())
		switch {
		case err != nil:
			t.Error(err)
		case rec.Kind == KindMark:
			marks <- rec.Reason
		default:
			r.mu.Lock()
			r.all = append(r.all, rec)
			r.mu.Unlock()
		}
	}
}

// run starts an actor.
func (r *records) run(t *testing.T, act func(in io.Reader, out io.Writer) error) *running {
	t.Helper()
	inRead, in := io.Pipe()
	out, outWrite := io.Pipe()
	a := &running{in: in, marks: make(chan string, 16), ended: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() { r.take(t, out, a.marks) })
	go func() {
		err := act(inRead, outWrite)
		outWrite.Close()
		wg.Wait()
		a.ended <- err
	}()
	t.Cleanup(func() { in.Close() })
	return a
}

func (a *running) tell(t *testing.T, o Order) {
	t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}

// order gives an order and waits for the answer.
func (a *running) order(t *testing.T, o Order) {
	t.Helper()
	a.next++
	o.ID = fmt.Sprint(a.next)
	a.tell(t, o)
	select {
	case id := <-a.marks:
		if id != o.ID {
			t.Fatalf("answer %q, want %q", id, o.ID)
		}
	case err := <-a.ended:
		t.Fatalf("ended before it answered %+v: %v", o, err)
	case <-time.After(atMost):
		t.Fatalf("no answer to %+v", o)
	}
}

func (a *running) quit(t *testing.T) {
	t.Helper()
	a.tell(t, Order{Do: DoQuit})
	select {
	case err := <-a.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(atMost):
		t.Fatal("it does not quit")
	}
}

// until waits until the records are as wanted.
func (r *records) until(t *testing.T, what string, yes func([]validator.Record) bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(atMost)
	for {
		r.mu.Lock()
		ok := yes(r.all)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func count(rs []validator.Record, kind validator.Kind) int {
	n := 0
	for _, r := range rs {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// pythonActor runs an actor on libzmq as a process.
func pythonActor(t *testing.T, program []byte, cfg any) func(in io.Reader, out io.Writer) error {
	t.Helper()
	script := filepath.Join(t.TempDir(), "actor.py")
	if err := os.WriteFile(script, program, 0o600); err != nil {
		t.Fatal(err)
	}
	arg, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func(in io.Reader, out io.Writer) error {
		cmd := exec.Command(python, script, string(arg))
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() { // ends with in, which the test closes
			_, _ = io.Copy(stdin, in)
			stdin.Close()
		}()
		return cmd.Run()
	}
}

// Both kinds of workers and nodes of many sessions do what they say: with no fault
// around, the validator finds nothing in what they tell, and what is there is not
// little.
func TestActors(t *testing.T) {
	for _, kind := range []string{"go", "python"} {
		t.Run(kind, func(t *testing.T) {
			socket, uri := serve(t)
			var r records
			worker := WorkerConfig{
				Name: "w1.1", Publisher: "p", Socket: socket, Rate: 500, Size: 600, Seed: 1,
				Topics: []string{"D", "a", "ab", "abc", "b"},
			}
			act := func(in io.Reader, out io.Writer) error { return RunWorker(t.Context(), worker, in, out) }
			if kind == "python" {
				act = pythonActor(t, PythonWorker, worker)
			}
			n := r.run(t, func(in io.Reader, out io.Writer) error {
				return RunNode(t.Context(), NodeConfig{
					Name: "n1.1", Node: "n1", Sessions: 5, Connect: [][]string{{uri}}, Seed: 1,
					Topics: []string{"D"}, Pool: []string{"a", "ab", "abc", "b"}, Some: 2, Churn: 20 * time.Millisecond,
				}, in, out)
			})
			w := r.run(t, act)
			r.until(t, "events and churn", func(rs []validator.Record) bool {
				return count(rs, validator.KindAccept) > 300 && count(rs, validator.KindEvent) > 1000 && count(rs, validator.KindUnsubscribed) > 20
			})
			w.order(t, Order{Do: DoBurst, Topic: "D", N: 20, Size: 1000})
			n.order(t, Order{Do: DoSlow, Millis: 1})
			n.order(t, Order{Do: DoSlow})
			n.order(t, Order{Do: DoPause})
			w.order(t, Order{Do: DoPause})
			// What is on its way arrives.
			checker := func() *validator.Result {
				c := validator.New(validator.Params{Within: time.Millisecond, Lag: time.Second, All: "D"})
				r.mu.Lock()
				defer r.mu.Unlock()
				// That is much longer than a millisecond on a busy machine.
				for _, rec := range r.all {
					if rec.Kind == validator.KindAccept {
						rec.End += int64(atMost)
					}
					c.Add(rec)
				}
				return c.Check(Now() + 2*atMost)
			}
			r.until(t, "everything to be there", func([]validator.Record) bool {
				r.mu.Unlock()
				defer r.mu.Lock()
				return checker().Total() == 0
			})
			n.order(t, Order{Do: DoMark})
			w.order(t, Order{Do: DoGo})
			n.order(t, Order{Do: DoGo})
			n.quit(t)
			w.quit(t)
			if closed := count(r.all, validator.KindClosed); closed != 5 {
				t.Errorf("%d sessions closed, want 5", closed)
			}
			for _, v := range checker().Violations {
				t.Error(v)
			}
		})
	}
}

// A node on libzmq does what it says as well, and hears of all that it holds.
func TestPythonNode(t *testing.T) {
	socket, uri := serve(t)
	var r records
	worker := WorkerConfig{Name: "w1.1", Publisher: "p", Socket: socket, Size: 100, Seed: 1, Topics: []string{"a"}}
	n := r.run(t, pythonActor(t, PythonNode, NodeConfig{Name: "n1.1", Node: "n1", Connect: [][]string{{uri}}, Topics: []string{"a", "b"}}))
	w := r.run(t, func(in io.Reader, out io.Writer) error { return RunWorker(t.Context(), worker, in, out) })
	r.until(t, "its subscriptions to count", func(rs []validator.Record) bool { return count(rs, validator.KindSubscribed) == 2 })
	for _, topic := range []string{"a", "ab", "b"} { // one begins with another, and is not held
		w.order(t, Order{Do: DoBurst, Topic: topic, N: 10, Size: 100})
	}
	r.until(t, "all events", func(rs []validator.Record) bool { return count(rs, validator.KindEvent) == 20 })
	n.order(t, Order{Do: DoMark})
	n.quit(t)
	w.quit(t)
	c := validator.New(validator.Params{Within: atMost, Lag: time.Second, All: "D"})
	for _, rec := range r.all {
		c.Add(rec)
	}
	result := c.Check(Now() + 2*atMost)
	for _, v := range result.Violations {
		t.Error(v)
	}
	if result.Owed != 20 {
		t.Errorf("%d events owed, want 20", result.Owed)
	}
}

// A handler that is told to fail is called again for what it failed on, when it
// does not any more; and a worker without a rate does what it is told only.
func TestFail(t *testing.T) {
	socket, uri := serve(t)
	var r records
	worker := WorkerConfig{Name: "w1.1", Publisher: "p", Socket: socket, Size: 100, Topics: []string{"a"}}
	n := r.run(t, func(in io.Reader, out io.Writer) error {
		return RunNode(t.Context(), NodeConfig{Name: "n1.1", Node: "n1", Connect: [][]string{{uri}}, Topics: []string{"a"}}, in, out)
	})
	w := r.run(t, func(in io.Reader, out io.Writer) error { return RunWorker(t.Context(), worker, in, out) })
	n.order(t, Order{Do: DoPause})
	r.until(t, "its subscription to count", func(rs []validator.Record) bool { return count(rs, validator.KindSubscribed) == 1 })
	n.order(t, Order{Do: DoFail, N: 1})
	w.order(t, Order{Do: DoBurst, Topic: "a", N: 1, Size: 100})
	w.order(t, Order{Do: DoMark})
	n.order(t, Order{Do: DoFail})
	r.until(t, "a resync, or the event", func(rs []validator.Record) bool {
		return count(rs, validator.KindResync)+count(rs, validator.KindEvent) == 1
	})
	n.quit(t)
	w.quit(t)
	if accepted := count(r.all, validator.KindAccept); accepted != 1 {
		t.Errorf("%d events accepted, want 1", accepted)
	}
}

// An actor ends with its input, and says what is wrong with an order.
func TestOrders(t *testing.T) {
	socket, _ := serve(t)
	cfg := WorkerConfig{Name: "w1.1", Publisher: "p", Socket: socket, Rate: 1, Size: 1, Topics: []string{"D"}}
	for _, tt := range []struct {
		input string
		fails bool
	}{{"", false}, {"{\"do\":\"mark\"}\n", false}, {"hello\n", true}} {
		var r records
		w := r.run(t, func(in io.Reader, out io.Writer) error { return RunWorker(t.Context(), cfg, in, out) })
		if _, err := io.WriteString(w.in, tt.input); err != nil {
			t.Fatal(err)
		}
		w.in.Close()
		select {
		case err := <-w.ended:
			if (err != nil) != tt.fails {
				t.Errorf("input %q: %v", tt.input, err)
			}
		case <-time.After(atMost):
			t.Fatalf("input %q: it has not ended", tt.input)
		}
	}
}

func TestKey(t *testing.T) {
	if w, n, ok := parseKey(workerKey("w1.2", 34)); w != "w1.2" || n != 34 || !ok {
		t.Errorf("got %s, %d, %t", w, n, ok)
	}
	for _, key := range []string{"", "x", "w-", "w-x", "w-0", "w--1", "w-1x"} {
		if w, n, ok := parseKey(key); ok {
			t.Errorf("key %q: got %s, %d", key, w, n)
		}
	}
}
