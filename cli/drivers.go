package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// driverRow is what an alias means on one hop.
type driverRow struct {
	Alias        string              `json:"alias"`
	Hop          string              `json:"hop"`
	Roles        driver.Roles        `json:"roles"`
	Capabilities driver.Capabilities `json:"capabilities"`
}

func (a *app) driversCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drivers",
		Short: "List the drivers: aliases, roles and capabilities",
		Long: `List the drivers that this binary has: by which alias a configuration chooses
one, which part it can play on which hop, and what it can do.`,
		Args: cobra.NoArgs,
	}
	output := addFormat(cmd, formatText)
	cmd.RunE = func(*cobra.Command, []string) error {
		rows := driverRows(driver.Aliases())
		if *output == formatJSON {
			return printJSON(a.stdout, rows)
		}
		return printDrivers(a.stdout, rows)
	}
	return cmd
}

func driverRows(aliases []driver.Alias) []driverRow {
	rows := []driverRow{}
	for _, al := range aliases {
		for _, hop := range []driver.Hop{driver.Network, driver.IPC} {
			if p := al.Part(hop); p.Driver != nil {
				rows = append(rows, driverRow{al.Name, hop.String(), p.Roles, p.Driver.Capabilities()})
			}
		}
	}
	return rows
}

func printDrivers(w io.Writer, rows []driverRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ALIAS\tHOP\tROLES\tDRIVER\tBINDS\tMAX PAYLOAD\tCAPABILITIES")
	for _, r := range rows {
		limit := "-"
		if r.Capabilities.MaxPayload > 0 {
			limit = fmt.Sprint(r.Capabilities.MaxPayload)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Alias, r.Hop, r.Roles,
			r.Capabilities.Name, r.Capabilities.Binds, limit, capabilityWords(r.Capabilities))
	}
	return t.Flush()
}

func capabilityWords(c driver.Capabilities) string {
	var words []string
	for _, f := range []struct {
		has  bool
		word string
	}{
		{c.Ordered, "ordered"},
		{c.Lossy, "lossy"},
		{c.Persistent, "persistent"},
		{c.Resumes, "resumes"},
		{c.Filters, "filters"},
		{c.Confirms, "confirms"},
		{c.Identifies, "identifies"},
		{c.Liveness, "liveness"},
	} {
		if f.has {
			words = append(words, f.word)
		}
	}
	if words == nil {
		return "-"
	}
	return strings.Join(words, ",")
}
