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
	output := addFormat(cmd, formatText, formatMarkdown)
	cmd.RunE = func(*cobra.Command, []string) error {
		rows := driverRows(driver.Aliases())
		switch *output {
		case formatJSON:
			return printJSON(a.stdout, rows)
		case formatMarkdown:
			_, err := io.WriteString(a.stdout, markdownDrivers(rows))
			return err
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
		{c.OrderedByTopic && !c.Ordered, "ordered by topic"},
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

// markdownDrivers is the table of the README: a row for each driver on each hop,
// with its aliases, and the parts that they play where not both.
func markdownDrivers(rows []driverRow) string {
	var list []driverRow
	aliases := make(map[string][]string)
	for _, r := range rows {
		key := r.Capabilities.Name + " " + r.Hop
		if aliases[key] == nil {
			list = append(list, r)
		}
		name := "`" + r.Alias + "`"
		if r.Roles != driver.Publishes|driver.Subscribes {
			name += " (" + r.Roles.String() + ")"
		}
		aliases[key] = append(aliases[key], name)
	}
	var b strings.Builder
	b.WriteString("| driver | hop | aliases | binds | capabilities |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range list {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Capabilities.Name, r.Hop,
			strings.Join(aliases[r.Capabilities.Name+" "+r.Hop], ", "), r.Capabilities.Binds,
			strings.ReplaceAll(capabilityWords(r.Capabilities), ",", ", "))
	}
	return b.String()
}
