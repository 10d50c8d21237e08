package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/service"
)

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the publisher service, in the foreground",
		Long: `Run the publisher service of this server: take the events of its workers over
the IPC socket, and publish them to the nodes. SIGTERM and SIGINT drain it: what
workers had sent is delivered, and the exit status is 0 if nothing was left
behind. A second signal stops it at once.`,
		Args: cobra.NoArgs,
	}
	flags := addConfigFlags(cmd)
	supervised := cmd.Flags().Bool("supervised", false, "report to the parent process, and end with it")
	if err := cmd.Flags().MarkHidden("supervised"); err != nil {
		panic(err) // the flag is the line above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := flags.load(a)
		if err != nil {
			return err
		}
		log := newLog(c, a.stderr)
		for _, w := range c.Warnings {
			log.Warn(w)
		}
		cfg := serviceConfig(c, log)
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if *supervised {
			s := supervise(a.stdin, a.stdout, cancel) // without draining: whom for?
			defer s.stop()
			cfg.Ready = func(i service.Info) { a.ready(log, c, i); s.ready(i) }
		} else {
			cfg.Ready = func(i service.Info) { a.ready(log, c, i) }
		}
		return serve(ctx, cfg)
	}
	return cmd
}

// serve runs the service until a signal comes, and drains it until the next one.
// The end of ctx stops it at once.
func serve(ctx context.Context, cfg service.Config) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()

	ended := make(chan error, 1)
	go func() { ended <- service.Run(running, cfg) }()
	for n := 0; ; {
		select {
		case err := <-ended:
			return err
		// When it returns without the service, that goes with the process.
		case <-ctx.Done():
			return ctx.Err()
		case s := <-signals:
			if n++; n > 1 {
				return errors.New("stopped by a second signal before it was drained")
			}
			cfg.Log.Info("told to stop", "signal", s.String())
			notify(cfg.Log, daemon.SdNotifyStopping)
			drain()
		}
	}
}

// ready tells whoever waits for the service.
func (a *app) ready(log *slog.Logger, c *config.Config, i service.Info) {
	network := networkURI(i.Network)
	if i.Network == nil {
		network = "by " + c.DF.PubSubDriver // through a broker
	}
	fmt.Fprintf(a.stderr, "wyvern: ready: network %s, ipc %s\n", network, ipcPath(i.IPC))
	notify(log, daemon.SdNotifyReady)
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("can't notify systemd", "error", err)
	}
}

// networkURI is what a node would connect to.
func networkURI(addr net.Addr) string {
	switch {
	case addr == nil:
		return "-"
	case strings.Contains(addr.String(), "://"):
		return addr.String()
	case addr.Network() == "unix":
		return "ipc://" + addr.String()
	}
	return addr.Network() + "://" + addr.String()
}

func ipcPath(addr net.Addr) string {
	if addr == nil {
		return "-"
	}
	return strings.TrimPrefix(addr.String(), "ipc://")
}
