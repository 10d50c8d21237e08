package cli

import (
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/service"
)

// configFlags are the flags of every verb that reads the configuration.
type configFlags struct {
	files, dirs, sets []string
}

func addConfigFlags(cmd *cobra.Command) *configFlags {
	f := &configFlags{}
	// Array, not slice: a comma is part of a path or value.
	cmd.Flags().StringArrayVar(&f.files, "config-file", nil, "read this configuration `file`; repeatable, later wins")
	cmd.Flags().StringArrayVar(&f.dirs, "config-dir", nil, "read *.conf in this `directory`, sorted; repeatable")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "set an option, as `group.option=value`; repeatable, wins over all")
	return f
}

// load returns the effective configuration. What to do about its warnings is
// the caller's.
func (f *configFlags) load(a *app) (*config.Config, error) {
	return config.Load(config.Sources{Files: f.files, Dirs: f.dirs, Env: a.environ, Sets: f.sets})
}

// loadAndWarn is load for verbs without a log.
func (f *configFlags) loadAndWarn(a *app) (*config.Config, error) {
	c, err := f.load(a)
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		a.warn("%s", w)
	}
	return c, nil
}

// serviceConfig maps the configuration to the publisher service.
func serviceConfig(c *config.Config, log *slog.Logger) service.Config {
	s := service.Config{
		ID:           c.PublisherID(),
		Network:      service.Hop{Alias: c.DF.PubSubDriver, Config: c.Network()},
		IPC:          service.Hop{Alias: c.DF.PubSubMultiprocDriver, Config: c.IPC()},
		StateFile:    c.StateFile(),
		DrainTimeout: c.Wyvern.DrainTimeout,
		Log:          log,
	}
	if s.DrainTimeout == 0 { // an option says 0 for what a Go struct can't
		s.DrainTimeout = -1
	}
	return s
}

// newLog returns the log that the configuration asks for.
func newLog(c *config.Config, w io.Writer) *slog.Logger { return newLogFrom(c, w, slog.LevelInfo) }

// newClientLog is newLog for verbs that a person runs: what is not worth a
// warning is logged only at level debug.
func newClientLog(c *config.Config, w io.Writer) *slog.Logger {
	return newLogFrom(c, w, slog.LevelWarn)
}

// newLogFrom returns a log of which info is the level that option log_level
// calls so.
func newLogFrom(c *config.Config, w io.Writer, info slog.Level) *slog.Logger {
	level := info
	switch c.Wyvern.LogLevel {
	case "debug":
		level = slog.LevelDebug
	case "warning":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(c.Wyvern.LogFormat, "json") {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
