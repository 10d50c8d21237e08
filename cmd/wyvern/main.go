// Command wyvern is the publisher service, and everything that one needs to
// try it: a worker, a node, and the whole system on one machine.
package main

import (
	"os"

	"github.com/spf13/cobra"

	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
)

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
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
