//go:build linux

package actor

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// NodeConfig says what a node does: what a compute node would, or many of them
// in one process.
type NodeConfig struct {
	Name     string     `json:"name"` // of this process: no other has or had it
	Node     string     `json:"node"` // what stays when it is started again
	Sessions int        `json:"sessions"`
	Connect  [][]string `json:"connect"` // URIs, for one session after the other, in turn
	Topics   []string   `json:"topics"`  // held by each session, for ever
	Pool     []string   `json:"pool"`    // taken and dropped
	// Churn is how often a session takes or drops topics, on average; 0: never.
	// Before, it takes Some of the pool.
	Churn time.Duration `json:"churn"`
	Some  int           `json:"some"`
	// ReconnectMax and HandshakeTimeout are the driver's; 0: its defaults.
	ReconnectMax     time.Duration `json:"reconnect_max"`
	HandshakeTimeout time.Duration `json:"handshake_timeout"`
	Seed             uint64        `json:"seed"`
}

// RunNode follows topics until it is told to quit, in ends or ctx does.
func RunNode(ctx context.Context, cfg NodeConfig, in io.Reader, out io.Writer) error {
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	log := &log{w: out}
	logger := newLogger(os.Stderr)
	var sessions []*session
	defer func() {
		for _, s := range sessions {
			s.close()
		}
	}()
	for i := range max(cfg.Sessions, 1) {
		s, err := openSession(ctx, cfg, i, log, logger)
		if err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	orders := orders(ctx, in, quit)
	for {
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); err != context.Canceled {
				return err
			}
			return nil
		case o := <-orders:
			if o.Do == DoQuit {
				return nil
			}
			each(sessions, func(s *session) { s.obey(ctx, o) })
			log.mark(o)
		}
	}
}

// each calls f for all sessions at once.
func each(sessions []*session, f func(*session)) {
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() { f(s) })
	}
	wg.Wait()
}

// sessionName names the i-th session of a process.
func sessionName(cfg *NodeConfig, i int) string {
	if cfg.Sessions <= 1 {
		return cfg.Name
	}
	return fmt.Sprintf("%s#%d", cfg.Name, i)
}

// SessionNames returns the names of a node's sessions.
func (cfg *NodeConfig) SessionNames() []string {
	var names []string
	for i := range max(cfg.Sessions, 1) {
		names = append(names, sessionName(cfg, i))
	}
	return names
}

// NodeNames returns the names of the parts that faults are about, of a node's
// sessions.
func (cfg *NodeConfig) NodeNames() []string {
	var names []string
	for i := range max(cfg.Sessions, 1) {
		names = append(names, nodeOf(cfg, i))
	}
	return names
}

// nodeOf is the part that faults are about: of a process with many sessions,
// each is one.
func nodeOf(cfg *NodeConfig, i int) string {
	if cfg.Sessions <= 1 {
		return cfg.Node
	}
	return fmt.Sprintf("%s#%d", cfg.Node, i)
}

func (s *session) record(kind validator.Kind, topic string) {
	s.log.write(validator.Record{Kind: kind, At: int64(Now()), Session: s.name, Topic: topic})
}
