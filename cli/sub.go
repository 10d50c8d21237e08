package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// subFlags are the flags of sub.
type subFlags struct {
	connect []string
	topics  []string
	count   uint64
	timeout time.Duration
	output  *format
}

func (a *app) subCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sub",
		Short: "Subscribe, as a node would, and print what comes",
		Long: `Subscribe to topics of one or more publishers, and print each event as a line of
JSON: table, key, action, value, topic, version, publisher, epoch, seq, reason. An
event with a reason is not a publisher's: it tells that events may have been
missed (RESYNC), and is not counted.

With --count, the exit status is 0 only when so many events came.`,
		Args: cobra.NoArgs,
		Example: `  wyvern sub --config-file dragonflow.ini
  wyvern sub --connect tcp://192.0.2.1:8866 --topic D --count 1 --timeout 5s`,
	}
	config := addConfigFlags(cmd)
	var f subFlags
	f.output = addFormat(cmd, formatJSON)
	cmd.Flags().StringArrayVar(&f.connect, "connect", nil, "`URI` of a publisher, or of a broker's server; repeatable (default: as configured)")
	cmd.Flags().StringArrayVar(&f.topics, "topic", []string{wyvern.TopicAll}, "topic to hold; repeatable")
	cmd.Flags().Uint64Var(&f.count, "count", 0, "end after so many events (default: never)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "end after this time (default: never)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.timeout < 0 {
			return usagef(cmd, "--timeout must not be negative")
		}
		c, err := config.loadAndWarn(a)
		if err != nil {
			return err
		}
		if len(f.connect) == 0 && !viaBroker(c) {
			if f.connect = c.PublisherURIs(); len(f.connect) == 0 {
				return driver.WithHint(errors.New("no publisher to connect to"), "use --connect, or set [df] publishers_ips")
			}
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		return a.sub(ctx, c, &f)
	}
	return cmd
}

// viaBroker says whether the network driver has a broker, so that nodes and
// publishers need not know of one another.
func viaBroker(c *config.Config) bool {
	d, err := driver.Lookup(c.DF.PubSubDriver, driver.Network, driver.Subscribes)
	return err == nil && d.Capabilities().Binds == 0
}

// sub prints events until there were enough, ctx ends, or the time is over.
func (a *app) sub(ctx context.Context, c *config.Config, f *subFlags) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	cfg := c.Network()
	if viaBroker(c) && len(f.connect) > 0 {
		cfg.Servers, f.connect = f.connect, nil
	}
	r := &receiver{out: a.stdout, want: f.count, text: *f.output == formatText, done: make(chan struct{})}
	s, err := wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Alias:   c.DF.PubSubDriver,
		Hop:     driver.Network,
		Handler: r.handle,
		Topics:  f.topics,
		Connect: f.connect,
		Config:  cfg,
		Log:     newClientLog(c, a.stderr),
	})
	if err != nil {
		return err
	}
	connected, stopWaiting := func() bool { return true }, func() {} // or opening had failed
	if len(f.connect) > 0 {
		connected, stopWaiting = a.awaitConnected(ctx, s, f.connect)
	}
	defer stopWaiting()

	select {
	case <-r.done:
	case <-ctx.Done():
	case <-s.Done():
		err = errors.New("the subscriber has ended")
	}
	err = errors.Join(err, s.Close(), r.err)
	got := r.got.Load()
	switch {
	case err != nil:
		return err
	case got < f.count:
		err = fmt.Errorf("got %d of %d events", got, f.count)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("%w in %v", err, f.timeout)
		}
	case f.count == 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) && got == 0 && !connected():
		err = fmt.Errorf("no connection to %s in %v", strings.Join(f.connect, ", "), f.timeout)
	}
	if err != nil && !connected() {
		err = driver.WithHint(err, "not every publisher could be reached: is one running at "+strings.Join(f.connect, ", ")+"?")
	}
	return err
}

// patience is how long a publisher may be out of reach before the person is
// told.
const patience = 3 * time.Second

// awaitConnected warns when the publishers can't be reached for a while. The
// first function tells whether they all were, the second ends the wait.
func (a *app) awaitConnected(ctx context.Context, s *wyvern.Subscriber, uris []string) (connected func() bool, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ok atomic.Bool
	var wait sync.WaitGroup
	wait.Go(func() {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if s.Await(short) != nil {
			if short.Err() == nil || ctx.Err() != nil { // it can't tell, or it is over
				return
			}
			a.warn("not connected yet to every one of %s", strings.Join(uris, ", "))
			if s.Await(ctx) != nil {
				return
			}
		}
		ok.Store(true)
	})
	return ok.Load, func() {
		cancel()
		wait.Wait()
	}
}

// receiver prints events. The fields below done are the handler's alone until
// the subscriber is closed.
type receiver struct {
	out  io.Writer
	want uint64 // 0: no end
	text bool
	got  atomic.Uint64
	done chan struct{}

	ended bool
	err   error
}

func (r *receiver) handle(_ context.Context, e wyvern.Event) error {
	if r.ended {
		return nil
	}
	if err := r.print(e); err != nil {
		r.err = fmt.Errorf("print an event: %w", err)
		r.end()
		return nil // reported once, by sub
	}
	if e.Reason == "" && r.got.Add(1) == r.want {
		r.end()
	}
	return nil
}

func (r *receiver) end() {
	r.ended = true
	close(r.done)
}

// print writes a line at a time, so that who reads has it at once.
func (r *receiver) print(e wyvern.Event) error {
	if !r.text {
		return json.NewEncoder(r.out).Encode(e)
	}
	line := fmt.Sprintf("%s %s %s %s", e.Topic, e.Action, e.Table, e.Key)
	if e.Version > 0 {
		line += fmt.Sprintf(" version %d", e.Version)
	}
	if e.Value != "" {
		line += " " + e.Value
	}
	if e.Reason != "" {
		line += " (" + string(e.Reason) + ")"
	}
	_, err := fmt.Fprintln(r.out, strings.Join(strings.Fields(line), " "))
	return err
}
