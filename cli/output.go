package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// format is how a verb prints data.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
)

// String, Set and Type implement pflag.Value.
func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	if s != string(formatText) && s != string(formatJSON) {
		return fmt.Errorf("neither json nor text")
	}
	*f = format(s)
	return nil
}

func (f *format) Type() string { return "json|text" }

// addFormat gives a verb the flag -o and returns its value.
func addFormat(cmd *cobra.Command, byDefault format) *format {
	f := byDefault
	cmd.Flags().VarP(&f, "output", "o", "format of the data printed")
	return &f
}

// printJSON prints a document for programs, indented for people.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
