package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// Hop says how the service takes part in a hop.
type Hop struct {
	// Alias chooses a registered driver, unless Driver is given.
	Alias  string
	Driver driver.Driver
	// Config is the driver's. The service sets ID, Epoch, AllTopics and Log.
	Config driver.Config
}

// Config is what a service needs. ID and the two hops have no default.
type Config struct {
	// Network is where the service publishes to the nodes.
	Network Hop
	// IPC is where it takes the events of the workers.
	IPC Hop
	// ID is the stable identity of this publisher. No two services may have
	// the same.
	ID string
	// StateFile is by which this instance hands over to the next one at a
	// planned restart: epoch, numbers, and the events that are retained, so that
	// no subscriber has to resync. Its directory must exist. Empty: none; then
	// every start is a new incarnation.
	StateFile string
	// DrainTimeout is how long the service that is told to stop goes on
	// sending what it accepted; default 30 s, negative: not at all.
	DrainTimeout time.Duration
	// StatsInterval is how often the counters are logged, at level debug;
	// default 10 s, negative: never.
	StatsInterval time.Duration
	// Log receives what happens; default: discarded.
	Log *slog.Logger
	// Ready, if set, is called once, when nodes and workers can connect.
	Ready func(Info)
}

// Info tells where a service that is ready can be reached.
type Info struct {
	ID    string
	Epoch uint64
	// Network and IPC are the addresses; nil where the driver binds none.
	Network, IPC net.Addr
	// Status may be called at any time, also after Run returned.
	Status func() Status
}

func (c Config) withDefaults() Config {
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.StatsInterval = cmp.Or(c.StatsInterval, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Run runs the publisher service until ctx ends, and then drains it for up to
// DrainTimeout: nil means that every event that workers had sent was handed to
// every node that takes it. If something was left behind, the error says what.
// Run also returns, at once, when the service can't be started or dies.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if cfg.ID == "" {
		return errors.New("service has no id")
	}
	s, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// running is an open service.
type running struct {
	cfg       Config
	log       *slog.Logger
	state     state
	restored  bool // goes on where the last instance stopped
	publisher *wyvern.Publisher
	relay     *wyvern.Relay
}

// open opens the network first: a service that can't reach the nodes must not
// take the socket away from one that can.
func open(ctx context.Context, cfg Config) (*running, error) {
	s := &running{cfg: cfg, log: cfg.Log, state: state{cfg.StateFile}}
	if err := s.openPublisher(ctx); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	var err error
	cfg.IPC.Config.ID = cfg.ID
	s.relay, err = wyvern.OpenRelay(ctx, wyvern.RelayOptions{
		Driver:    cfg.IPC.Driver,
		Alias:     cfg.IPC.Alias,
		Hop:       driver.IPC,
		Config:    cfg.IPC.Config,
		Publisher: s.publisher,
		Log:       cfg.Log.With("hop", driver.IPC.String()),
	})
	if err != nil {
		err = errors.Join(fmt.Errorf("ipc: %w", err), s.publisher.Close())
		if s.restored {
			s.handOver() // to whoever comes and can
		}
		return nil, err
	}
	if !s.restored { // the socket's directory exists by now
		if err := s.state.running(); err != nil {
			s.log.Warn("can't write the state file: the next instance won't go on where this one stops", "file", s.state.path, "error", err)
		}
	}
	return s, nil
}

// openPublisher goes on where the last instance stopped, if that handed over.
func (s *running) openPublisher(ctx context.Context) error {
	last, err := s.state.read()
	if err != nil {
		s.log.Warn("the last instance's state can't be used; subscribers will be told to resync", "file", s.state.path, "error", err)
	}
	o := wyvern.PublisherOptions{
		Driver: s.cfg.Network.Driver,
		Alias:  s.cfg.Network.Alias,
		Hop:    driver.Network,
		ID:     s.cfg.ID,
		Config: s.cfg.Network.Config,
		Log:    s.log.With("hop", driver.Network.String()),
	}
	o.Config.Crashed = last.crashed
	if last.saved != nil {
		defer last.saved.Close()
		restored := o
		restored.Restore = last.saved
		if s.publisher, err = wyvern.OpenPublisher(ctx, restored); err == nil {
			if err = s.state.running(); err == nil {
				s.restored = true
				return nil
			}
			// A third instance would go on from there as well.
			s.publisher.Close()
		}
		s.log.Warn("can't go on where the last instance stopped; subscribers will be told to resync", "file", s.state.path, "error", err)
		o.Config.Crashed = true
	}
	s.publisher, err = wyvern.OpenPublisher(ctx, o)
	return err
}

// run relays until ctx ends or the relay does.
func (s *running) run(ctx context.Context) error {
	// The relay outlives ctx: draining is work for it.
	relayCtx, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()
	relayed := make(chan error, 1)
	go func() { relayed <- s.relay.Run(relayCtx) }()

	s.log.Info("ready", "id", s.publisher.ID(), "epoch", s.publisher.Epoch(),
		"network", s.publisher.Addr(), "ipc", s.relay.Addr())
	if s.cfg.Ready != nil {
		s.cfg.Ready(Info{
			ID:      s.publisher.ID(),
			Epoch:   s.publisher.Epoch(),
			Network: s.publisher.Addr(),
			IPC:     s.relay.Addr(),
			Status:  s.status,
		})
	}

	err, died := s.wait(ctx, relayed)
	if died {
		if err == nil {
			err = errors.New("it ended without being told to")
		}
		return errors.Join(fmt.Errorf("relay: %w", err), s.relay.Close(), s.publisher.Close())
	}
	if s.cfg.DrainTimeout < 0 {
		s.log.Info("stopping without draining")
		stopRelay()
		<-relayed
		return errors.Join(s.relay.Close(), s.publisher.Close())
	}
	return s.drain(relayed, stopRelay)
}

// wait blocks until ctx ends or the relay has died, and logs the counters
// meanwhile.
func (s *running) wait(ctx context.Context, relayed <-chan error) (err error, died bool) {
	var tick <-chan time.Time
	if s.cfg.StatsInterval > 0 {
		ticker := time.NewTicker(s.cfg.StatsInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil, false
		case err := <-relayed:
			return err, true
		case <-tick:
			s.log.Debug("stats", "status", s.status())
		}
	}
}

// drain stops the service in order. Every step is done, whatever became of the
// one before: what can still be delivered is.
func (s *running) drain(relayed <-chan error, stopRelay func()) error {
	s.log.Info("draining", "timeout", s.cfg.DrainTimeout)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()

	// 1. Workers are refused.
	s.relay.Drain()
	// 2. What they had sent is relayed.
	left := s.awaitRelay(ctx, relayed, stopRelay)
	// 3. No worker is connected any more; the socket is given up.
	closed := s.relay.Close()
	// 4. What was published is sent to the nodes, and the publisher closed.
	flushed := s.flush(ctx)
	// 5. What is retained is left for the next instance.
	s.handOver()

	err := errors.Join(left, closed, flushed)
	s.log.Info("stopped", "drained", err == nil, "took", time.Since(start).Round(time.Millisecond), "status", s.status())
	return err
}

func (s *running) awaitRelay(ctx context.Context, relayed <-chan error, stopRelay func()) error {
	var err error
	select {
	case err = <-relayed:
	case <-ctx.Done():
		stopRelay()
		if err = <-relayed; err == nil || errors.Is(err, context.Canceled) {
			err = fmt.Errorf("not everything that workers had sent was relayed after %v", s.cfg.DrainTimeout)
			if n := s.relay.Stats().Abandoned; n > 0 {
				err = fmt.Errorf("%w, %d events of it in hand", err, n)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("drain ipc: %w", err)
	}
	return nil
}

// flush shuts the publisher down. That some node is stuck must not keep a
// service from its end, nor make it a failure: that node will be told what it
// missed when it comes back.
func (s *running) flush(ctx context.Context) error {
	err := s.publisher.Shutdown(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		s.log.Warn("not every node got everything", "error", err)
		return nil
	}
	return fmt.Errorf("drain network: events left behind after %v: %w", s.cfg.DrainTimeout, err)
}

// handOver leaves what the next instance needs to go on. That it can't is no
// failure of this one: that one begins anew.
func (s *running) handOver() {
	if err := s.state.save(s.publisher.Save); err != nil {
		s.log.Warn("can't hand over; subscribers will be told to resync", "file", s.state.path, "error", err)
	}
}
