package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// command is one command on its way to the owner of its bucket.
type command struct {
	bucket int
	args   []any
	reply  any
	err    error
	asked  string // by whom a cluster that is being rebuilt has it answered
	unsure bool   // it was sent, in this attempt or an earlier one, and not answered
}

// fleet is the connections of one goroutine to the servers of a site. Only close
// and leave may be called by others.
type fleet struct {
	site *site
	// byKey sends commands to the owners of their keys; otherwise all go
	// through one seat.
	byKey bool
	// sure has the seat's role looked at behind every batch: a master that
	// became a replica goes on to accept PUBLISH.
	sure   bool
	budget int // of the answer to a batch, in bytes
	most   int // of a string in it; 0: as for a payload

	routed bool
	routes [buckets]string
	left   atomic.Bool // the routes are not to be used again

	mu     sync.Mutex
	lines  map[string]*line
	closed bool

	seat atomic.Pointer[string] // where most goes; for follow and Status
}

func newFleet(s *site, byKey, sure bool) *fleet {
	f := &fleet{site: s, byKey: byKey && s.mode == cluster, sure: sure && s.mode == sentinel, lines: make(map[string]*line)}
	f.seat.Store(new(string))
	return f
}

// route finds out where commands go to.
func (f *fleet) route(ctx context.Context) error {
	if f.left.Swap(false) {
		f.routed = false
	}
	if f.routed {
		return nil
	}
	l, err := f.site.seat(ctx, true)
	if err != nil {
		return err
	}
	if f.byKey {
		f.routes, err = f.site.owners(ctx, l)
	} else {
		for i := range f.routes {
			f.routes[i] = l.addr
		}
	}
	if err != nil {
		l.close()
		return err
	}
	f.routed = true
	f.seat.Store(&l.addr)
	f.keep(l)
	return nil
}

// keep keeps a line for use.
func (f *fleet) keep(l *line) {
	l.conn.budget = f.budget
	if f.most > 0 {
		l.conn.most = f.most
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.lines[l.addr]; old != nil {
		old.close()
	}
	f.lines[l.addr] = l
	if f.closed {
		l.close()
	}
}

// line returns the line to a server.
func (f *fleet) line(ctx context.Context, addr string) (*line, error) {
	f.mu.Lock()
	l := f.lines[addr]
	f.mu.Unlock()
	if l != nil && !l.closed.Load() {
		return l, nil
	}
	l, err := f.site.open(ctx, addr, f.site.server)
	if err != nil {
		return nil, err
	}
	f.keep(l)
	return l, nil
}

var errNoOwner = errors.New("no node of the cluster has the key's slot")

// run sends commands once, in their order per server, and sets what came of
// each. Redirections of a cluster that is being rebuilt are followed, others
// left for the next attempt, which route makes where they said.
func (f *fleet) run(ctx context.Context, cmds []*command) {
	for _, c := range cmds {
		c.reply, c.err, c.asked = nil, nil, ""
	}
	if err := f.route(ctx); err != nil {
		for _, c := range cmds {
			c.err = err
		}
		return
	}
	f.each(ctx, cmds, func(c *command) string { return f.routes[c.bucket] }, false)
	var asked []*command
	for _, c := range cmds {
		switch word, addr := redirected(c.err); word {
		case "ASK":
			c.asked = addr
			asked = append(asked, c)
		case "MOVED":
			f.routed = false
		}
	}
	if asked != nil {
		f.each(ctx, asked, func(c *command) string { return c.asked }, true)
	}
}

// each sends commands to where they belong, server by server.
func (f *fleet) each(ctx context.Context, cmds []*command, where func(*command) string, asking bool) {
	var order []string
	groups := make(map[string][]*command, 1)
	for _, c := range cmds {
		addr := where(c)
		if groups[addr] == nil {
			order = append(order, addr)
		}
		groups[addr] = append(groups[addr], c)
	}
	for _, addr := range order {
		f.send(ctx, addr, groups[addr], asking)
	}
}

func (f *fleet) send(ctx context.Context, addr string, cmds []*command, asking bool) {
	fail := func(err error) {
		f.routed = false
		for _, c := range cmds {
			if c.err == nil && c.reply == nil {
				c.err = err
			}
		}
	}
	if addr == "" {
		fail(errNoOwner)
		return
	}
	l, err := f.line(ctx, addr)
	if err != nil {
		fail(err)
		return
	}
	batch := make([]*goredis.Cmd, 0, len(cmds)+1)
	for _, c := range cmds {
		if asking {
			batch = append(batch, goredis.NewCmd(ctx, "ASKING"))
		}
		batch = append(batch, goredis.NewCmd(ctx, c.args...))
	}
	check := f.check(ctx, l)
	if check != nil {
		batch = append(batch, check)
	}
	l.run(ctx, batch)
	if check != nil {
		if err := f.checked(l, check); err != nil {
			l.close()
			for _, c := range cmds {
				c.unsure = true
			}
			fail(err)
			return
		}
	}
	for i, c := range cmds {
		if asking {
			i = 2*i + 1
		}
		c.reply, c.err = batch[i].Result()
		if _, ok := answered(c.err); c.err != nil && !ok && !errors.Is(c.err, goredis.Nil) || tooLong(c.err) {
			l.close() // a batch that has failed half-way must not be continued
			c.unsure = c.unsure || !tooLong(c.err)
			f.routed = false
		} else if ok && passes(c.err) {
			if word, _ := redirected(c.err); word != "ASK" {
				f.routed = false
			}
		}
	}
	if f.routed {
		return
	}
	// Perhaps another one has become the master.
	if !f.byKey {
		l.close()
	}
}

// check returns a command that tells whether the seat is still the right one,
// or nil.
func (f *fleet) check(ctx context.Context, l *line) *goredis.Cmd {
	switch {
	case f.sure:
		return goredis.NewCmd(ctx, "HELLO")
	case f.site.mode == cluster && !f.byKey && time.Since(l.checked) >= f.site.cfg.HeartbeatInterval:
		return goredis.NewCmd(ctx, "CLUSTER", "INFO")
	}
	return nil
}

var errCutOff = errors.New("the node says that its cluster does not work")

// checked looks at the answer.
func (f *fleet) checked(l *line, check *goredis.Cmd) error {
	v, err := check.Result()
	if err != nil {
		return nil // the commands before it tell
	}
	l.checked = time.Now()
	if f.sure {
		if role, _, _ := identity(v); role != "master" {
			return errReplica
		}
		return nil
	}
	if text, _ := v.(string); !workingState(text) {
		return errCutOff
	}
	return nil
}

// leave drops the line to a server that is no longer the right one, whatever it
// says of itself, and has the right one looked for.
func (f *fleet) leave(addr string) {
	f.left.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.lines[addr]; l != nil {
		l.close()
	}
}

// peers returns how many servers are connected.
func (f *fleet) peers() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		if !l.closed.Load() {
			n++
		}
	}
	return n
}

// close closes all lines. Commands that are running fail.
func (f *fleet) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, l := range f.lines {
		l.close()
	}
}
