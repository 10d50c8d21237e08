package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// pubFlags are the flags of pub.
type pubFlags struct {
	event   wyvern.Event
	from    string
	direct  bool
	waitFor int
	timeout time.Duration
}

func (a *app) pubCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pub",
		Short: "Publish events, as a worker would",
		Long: `Publish one event, or with --from a file of them: one JSON object a line, with
the fields table, key, action, value, topic and version. They go to the publisher
service of this server; with --direct, or if [df] pub_sub_use_multiproc is false,
this process is the publisher itself, and nodes connect to it.

The exit status is 0 only when everything was handed over.`,
		Args: cobra.NoArgs,
		Example: `  wyvern pub --config-file dragonflow.ini --table lport --key 17 --action set --value '{"id": "17"}'
  wyvern pub --config-file dragonflow.ini --from changes.jsonl`,
	}
	config := addConfigFlags(cmd)
	output := addFormat(cmd, formatText)
	var f pubFlags
	cmd.Flags().StringVar(&f.event.Topic, "topic", wyvern.TopicAll, "topic of the event")
	cmd.Flags().StringVar(&f.event.Table, "table", "", "table of the object")
	cmd.Flags().StringVar(&f.event.Key, "key", "", "key of the object")
	cmd.Flags().StringVar(&f.event.Action, "action", "", "create, set, delete, or another")
	cmd.Flags().StringVar(&f.event.Value, "value", "", "the object, JSON in practice")
	cmd.Flags().Uint64Var(&f.event.Version, "version", 0, "version of the object (default unknown)")
	cmd.Flags().StringVar(&f.from, "from", "", "publish the events of this `file`; - is standard input")
	cmd.Flags().BoolVar(&f.direct, "direct", false, "publish on the network, without the service")
	cmd.Flags().IntVar(&f.waitFor, "wait-subscribers", 0, "with --direct: first wait for so many nodes")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the service, or for nodes")
	for _, name := range []string{"topic", "table", "key", "action", "value", "version"} {
		cmd.MarkFlagsMutuallyExclusive("from", name)
	}
	cmd.MarkFlagsOneRequired("from", "action")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"table", "key", "value"} {
			if cmd.Flags().Changed(name) { // empty is not absent
				f.event.SetNull(map[string]wyvern.Field{
					"table": wyvern.FieldTable, "key": wyvern.FieldKey, "value": wyvern.FieldValue,
				}[name], false)
			}
		}
		if f.timeout <= 0 {
			return usagef(cmd, "--timeout must be positive")
		}
		c, err := config.loadAndWarn(a)
		if err != nil {
			return err
		}
		f.direct = f.direct || !c.DF.PubSubUseMultiproc
		if f.waitFor > 0 && !f.direct {
			return usagef(cmd, "--wait-subscribers needs --direct: with the service, nodes are its business")
		}
		if f.waitFor > 0 && viaBroker(c) {
			return usagef(cmd, "--wait-subscribers needs a driver to which nodes connect: only the broker knows who they are")
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		start := time.Now()
		n, err := a.pub(ctx, c, &f)
		if *output == formatJSON {
			err = errors.Join(err, printJSON(a.stdout, map[string]any{
				"accepted": n, "handed_over": err == nil, "seconds": time.Since(start).Seconds(),
			}))
		}
		return err
	}
	return cmd
}

// pub publishes, and returns how many events were accepted. It returns nil only
// when they were handed over as well.
func (a *app) pub(ctx context.Context, c *config.Config, f *pubFlags) (uint64, error) {
	source, name, err := a.events(f, c.Wyvern.MaxEventSize)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	opts := wyvern.PublisherOptions{
		Alias:  c.DF.PubSubMultiprocDriver,
		Hop:    driver.IPC,
		Config: c.IPC(),
		Log:    newClientLog(c, a.stderr),
	}
	if f.direct {
		opts.Alias, opts.Hop, opts.Config, opts.ID = c.DF.PubSubDriver, driver.Network, c.Network(), c.PublisherID()
		if viaBroker(c) {
			opts.ID = "" // that is the service's, which goes on beside us
		}
	}
	publisher, err := wyvern.OpenPublisher(ctx, opts)
	if err != nil {
		return 0, err
	}
	if f.waitFor > 0 {
		if err := waitSubscribers(ctx, publisher, f.waitFor, f.timeout); err != nil {
			return 0, errors.Join(err, publisher.Close())
		}
	}
	p := &pusher{publisher: publisher, timeout: f.timeout, hint: pubHint(c, f.direct)}
	stop := p.progress(a.stderr)
	err = p.stream(ctx, source, name)
	// What was accepted before an error is handed over too.
	err = errors.Join(err, p.shutdown(ctx))
	stop(err)
	return p.published.Load(), err
}

// pubHint is what to look at when nobody takes the events.
func pubHint(c *config.Config, direct bool) string {
	if direct {
		return ""
	}
	return "is the publisher service running, with the socket " + c.IPCSocket() + "?"
}

// events returns the source of events, and its name; "" for a single event.
func (a *app) events(f *pubFlags, maxEvent int64) (*eventSource, string, error) {
	switch f.from {
	case "":
		return &eventSource{single: &f.event}, "", nil
	case "-":
		return newEventSource(io.NopCloser(a.stdin), maxEvent), "standard input", nil
	}
	file, err := os.Open(f.from)
	if err != nil {
		return nil, "", err
	}
	return newEventSource(file, maxEvent), f.from, nil
}

// subscribeTime is how long nodes must have been connected before something is
// published. A driver counts a node when it has introduced itself; its topics
// follow in the same breath, but no driver tells that they have come.
const subscribeTime = 250 * time.Millisecond

// waitSubscribers waits until so many nodes are connected. There is nothing
// that would tell: ask.
func waitSubscribers(ctx context.Context, p *wyvern.Publisher, n int, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var since time.Time // when there were enough; zero: there are not
	for {
		peers := p.Status().Peers
		switch {
		case peers < n:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= subscribeTime:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for subscribers: %d of %d are connected: %w", peers, n, ctx.Err())
		}
	}
}
