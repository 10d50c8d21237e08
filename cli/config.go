package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern/config"
)

// setting is config.Setting for programs.
type setting struct {
	Group   string `json:"group"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Source  string `json:"source"`
	Help    string `json:"help"`
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, and where each value came from",
		Long: `Print the effective value of every option, and where it came from: the default,
a file and line, the environment, or a flag. An option is written as --set takes
it. With --defaults, print a sample file instead.`,
		Args: cobra.NoArgs,
	}
	flags := addConfigFlags(cmd)
	output := addFormat(cmd, formatText)
	defaults := cmd.Flags().Bool("defaults", false, "print a commented sample file with the defaults")
	cmd.MarkFlagsMutuallyExclusive("defaults", "output")
	cmd.RunE = func(*cobra.Command, []string) error {
		if *defaults {
			return config.WriteSample(a.stdout)
		}
		c, err := flags.loadAndWarn(a)
		if err != nil {
			return err
		}
		if *output == formatJSON {
			return printJSON(a.stdout, settings(c))
		}
		return printSettings(a.stdout, settings(c))
	}
	return cmd
}

func settings(c *config.Config) []setting {
	var all []setting
	for _, s := range c.Settings() {
		all = append(all, setting(s))
	}
	return all
}

func printSettings(w io.Writer, all []setting) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OPTION\tVALUE\tSOURCE")
	for _, s := range all {
		value := s.Value
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(t, "%s.%s\t%s\t%s\n", s.Group, s.Name, value, s.Source)
	}
	return t.Flush()
}
