package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/cli/demo"
	"github.com/wyvern-pubsub/wyvern/driver"
)

func (a *app) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole system on this machine, and judge it",
		Long: `Run worker processes, the publisher service and node processes on this machine:
the workers make the changes of a small cloud, each node follows some of its
tenants, and in the end every node is compared with what was published. The exit
status is 0 only if all of them hold exactly that.

It needs no configuration and disturbs no service: its socket is in a directory of
its own, and its port is any that is free.`,
		Args: cobra.NoArgs,
	}
	flags := addConfigFlags(cmd)
	output := addFormat(cmd, formatText)
	alias := cmd.Flags().String("driver", "", "`alias` of the network driver (default: [df] pub_sub_driver)")
	var o demo.Options
	cmd.Flags().IntVar(&o.Workers, "workers", 4, "worker processes")
	cmd.Flags().IntVar(&o.Nodes, "nodes", 10, "node processes")
	cmd.Flags().DurationVar(&o.Duration, "duration", 20*time.Second, "from the start to the verdict")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "of the changes; the same seed makes the same")
	cmd.Flags().Float64Var(&o.Rate, "rate", 1000, "changes per second, of all workers together")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkDemo(cmd, &o); err != nil {
			return err
		}
		if *alias != "" {
			flags.sets = append(flags.sets, "df.pub_sub_driver="+*alias)
		}
		c, err := flags.loadAndWarn(a) // rather than by each process
		if err != nil {
			return err
		}
		if o.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("find this binary: %w", err)
		}
		o.Config = flags.args()
		o.Screen = a.stdout
		if *output == formatJSON {
			o.Screen = a.stderr
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		sets, stopBroker, err := startBroker(ctx, c)
		if err != nil {
			return err
		}
		for _, set := range sets {
			o.Config = append(o.Config, "--set", set)
		}
		v, err := demo.Run(ctx, o)
		if err = errors.Join(err, stopBroker()); err != nil {
			return err
		}
		if *output == formatJSON {
			err = printJSON(a.stdout, v)
		} else {
			_, err = fmt.Fprintln(a.stdout, v)
		}
		if err == nil && !v.Converged {
			err = fmt.Errorf("%d of %d nodes did not converge", v.Nodes-v.ConvergedNodes, v.Nodes)
		}
		return err
	}
	return cmd
}

// checkDemo bounds what a typing error could do to the machine.
func checkDemo(cmd *cobra.Command, o *demo.Options) error {
	switch {
	case o.Workers < 1 || o.Workers > 256:
		return usagef(cmd, "--workers must be 1 to 256")
	case o.Nodes < 1 || o.Nodes > 1000:
		return usagef(cmd, "--nodes must be 1 to 1000")
	case o.Duration < time.Second || o.Duration > 24*time.Hour:
		return usagef(cmd, "--duration must be 1s to 24h")
	case !(o.Rate > 0 && o.Rate <= 1e6):
		return usagef(cmd, "--rate must be above 0, and 1000000 at most")
	}
	return nil
}

// args returns the flags as they were given, for a process that is to have the
// same configuration.
func (f *configFlags) args() []string {
	var args []string
	for _, of := range []struct {
		name   string
		values []string
	}{{"--config-file", f.files}, {"--config-dir", f.dirs}, {"--set", f.sets}} {
		for _, v := range of.values {
			args = append(args, of.name, v)
		}
	}
	return args
}

// childCommand is a verb for the demo's processes.
func (a *app) childCommand(use string, run func(context.Context, *configFlags) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Hidden: true, Args: cobra.NoArgs}
	flags := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := run(cmd.Context(), flags)
		if errors.Is(err, demo.ErrOrphan) { // no failure, and nobody to tell
			return nil
		}
		return err
	}
	return cmd
}

func (a *app) demoWorkerCommand() *cobra.Command {
	return a.childCommand("demo-worker", func(ctx context.Context, flags *configFlags) error {
		c, err := flags.load(a)
		if err != nil {
			return err
		}
		return demo.RunWorker(ctx, a.stdin, a.stdout, wyvern.PublisherOptions{
			Alias:  c.DF.PubSubMultiprocDriver,
			Hop:    driver.IPC,
			Config: c.IPC(),
			Log:    newLog(c, a.stderr),
		})
	})
}

func (a *app) demoNodeCommand() *cobra.Command {
	return a.childCommand("demo-node", func(ctx context.Context, flags *configFlags) error {
		c, err := flags.load(a)
		if err != nil {
			return err
		}
		return demo.RunNode(ctx, a.stdin, a.stdout, wyvern.SubscriberOptions{
			Alias:  c.DF.PubSubDriver,
			Hop:    driver.Network,
			Config: c.Network(),
			Log:    newLog(c, a.stderr),
		})
	})
}
