package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// format is how a verb prints data.
type format string

const (
	formatText     format = "text"
	formatJSON     format = "json"
	formatMarkdown format = "markdown" // not of every verb
)

// formatFlag is a flag with the formats of a verb. It implements pflag.Value.
type formatFlag struct {
	value *format
	valid []string
}

func (f formatFlag) String() string { return string(*f.value) }

func (f formatFlag) Set(s string) error {
	if !slices.Contains(f.valid, s) {
		return fmt.Errorf("none of %s", strings.Join(f.valid, ", "))
	}
	*f.value = format(s)
	return nil
}

func (f formatFlag) Type() string { return strings.Join(f.valid, "|") }

// addFormat gives a verb the flag -o and returns its value.
func addFormat(cmd *cobra.Command, byDefault format, more ...format) *format {
	f := formatFlag{new(byDefault), []string{string(formatJSON), string(formatText)}}
	for _, m := range more {
		f.valid = append(f.valid, string(m))
	}
	cmd.Flags().VarP(f, "output", "o", "format of the data printed")
	return f.value
}

// printJSON prints a document for programs, indented for people.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
