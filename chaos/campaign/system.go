//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
)

// Programs are the executables that are run.
type Programs struct {
	// Wyvern is the product.
	Wyvern string
	// Self is run as `Self worker CONFIG` and `Self node CONFIG`.
	Self string
	// Python, if set, can import zmq and msgpack.
	Python string
}

// system is everything that runs.
type system struct {
	programs Programs
	shape    Shape
	seed     uint64
	dir      string // sockets and configurations: a short name
	spawner  *spawner
	journal  *journal
	wg       sync.WaitGroup // those who watch processes

	services []*service
	workers  []*worker
	nodes    []*node
	script   string // of workers on libzmq
	nodePy   string // of nodes on libzmq
	plant    string // the bug that processes have
	others   []*process
	poisoned uint64 // messages that were no events

	stalls       atomic.Int64 // of the machine
	stopWatching context.CancelFunc

	mu       sync.Mutex
	ports    map[int]bool
	failures []string // of the system as such: a process that died
}

// newSystem prepares a system. Nothing runs yet.
func newSystem(programs Programs, shape Shape, seed uint64, logs string) (*system, error) {
	dir, err := os.MkdirTemp("", "wyc-")
	if err != nil {
		return nil, err
	}
	s := &system{programs: programs, shape: shape, seed: seed, dir: dir, spawner: newSpawner(), journal: newJournal(logs), ports: make(map[int]bool)}
	s.script, s.nodePy = filepath.Join(dir, "worker.py"), filepath.Join(dir, "node.py")
	err = os.WriteFile(s.script, actor.PythonWorker, 0o600)
	if err = errors.Join(err, os.WriteFile(s.nodePy, actor.PythonNode, 0o600)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	for i := range shape.Services {
		svc, err := s.newService(i)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.services = append(s.services, svc)
	}
	for i := range shape.Workers {
		w, err := s.newWorker(i)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.workers = append(s.workers, w)
	}
	for i := range shape.Nodes {
		n, err := s.newNode(i)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.nodes = append(s.nodes, n)
	}
	return s, nil
}

// start starts every process.
func (s *system) start(ctx context.Context) error {
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopWatching = stop
	s.wg.Go(func() { s.watchStalls(watch) })
	for _, svc := range s.services {
		if err := svc.start(ctx); err != nil {
			return err
		}
	}
	for _, w := range s.workers {
		if err := w.start(); err != nil {
			return err
		}
	}
	for _, n := range s.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

// fail notes something that must not be, whatever was broken.
func (s *system) fail(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, what)
}

// takeFailures returns what was noted since the last time.
func (s *system) takeFailures() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures
	s.failures = nil
	return f
}

// stop ends every process in order, and says what did not.
func (s *system) stop() error {
	var errs []error
	quit := func(p *process) {
		p.expect()
		if err := p.tell(actor.Order{Do: actor.DoQuit}); err != nil {
			errs = append(errs, err)
		}
	}
	check := func(p *process) {
		if status, killed := p.end(killTimeout); status != 0 || killed {
			errs = append(errs, fmt.Errorf("%s did not end well: exit status %d, had to be killed: %t", p.name, status, killed))
		}
	}
	var all []*process
	for _, w := range s.workers {
		all = append(all, w.present())
	}
	for _, n := range s.nodes {
		all = append(all, n.present())
	}
	for _, p := range all {
		quit(p)
	}
	for _, p := range all {
		check(p)
	}
	for _, svc := range s.services {
		p := svc.present()
		p.expect()
		_ = p.signal(term)
		check(p)
	}
	return errors.Join(errs...)
}

// close kills what still runs, waits for everything and removes the directory.
func (s *system) close() error {
	if s.stopWatching != nil {
		s.stopWatching()
	}
	for _, svc := range s.services {
		svc.close()
	}
	for _, w := range s.workers {
		w.close()
	}
	for _, n := range s.nodes {
		n.close()
	}
	for _, p := range s.others {
		p.kill()
	}
	s.wg.Wait()
	s.spawner.close()
	return errors.Join(s.journal.end(), os.RemoveAll(s.dir))
}

// part is a place in the system that processes take, one after the other.
type part struct {
	name string

	mu    sync.Mutex
	count int // of processes that there were
	now   *process
}

// present returns the process of now, or nil.
func (p *part) present() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *part) set(now *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// next names the next process.
func (p *part) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	return fmt.Sprintf("%s.%d", p.name, p.count)
}

// close kills the process, if there is one.
func (p *part) close() {
	if now := p.present(); now != nil {
		now.kill()
	}
}
