// Package cli is the command wyvern, but for the drivers: a program that links
// others has all of its verbs.
//
// # Usage
//
//	package main
//
//	import (
//		"github.com/wyvern-pubsub/wyvern/cli"
//		_ "github.com/wyvern-pubsub/wyvern/drivers/zmq"
//		_ "example.org/pigeon"
//	)
//
//	func main() { cli.Main("") }
//
// # Concurrency
//
// Main is called once, and does not return.
//
// # Errors
//
// One line each on standard error, then a hint where one is known. The exit status
// is 0 only when what was asked for is true, 2 when the command line makes no
// sense, else 1.
package cli

import (
	"os"

	"github.com/spf13/cobra"
)

// Main runs the command line of this process, and exits. version is that of the
// program; default: what the build knows.
func Main(version string) {
	a := &app{version: version, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	os.Exit(a.run(os.Args[1:]))
}

// command returns the verbs.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "wyvern",
		Short: "Publish-subscribe for network control planes",
		Long: `Wyvern carries the changes of a network database from the API servers that make
them to every compute node that they concern: in order, within milliseconds, and
never with a silent loss. It stands in for Dragonflow's publisher service, and
reads its configuration.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		a.serveCommand(),
		a.pubCommand(),
		a.subCommand(),
		a.driversCommand(),
		a.configCommand(),
		a.demoCommand(),
		a.demoWorkerCommand(),
		a.demoNodeCommand(),
		a.versionCommand(),
	)
	return root
}
