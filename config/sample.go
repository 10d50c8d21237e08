package config

import (
	"fmt"
	"io"
	"strings"
)

// sampleWidth is where help is wrapped, in columns.
const sampleWidth = 78

// WriteSample writes a sample file in the manner of oslo-config-generator:
// every group and option with its help, and the default commented out. A
// comment that is text has a space after #, one that is an option has none.
func WriteSample(w io.Writer) error {
	_, err := io.WriteString(w, sample(options(), sections()))
	return err
}

func sample(table []option, sections []section) string {
	var b strings.Builder
	for i, s := range sections {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "[%s]\n", s.group)
		comment(&b, s.help)
		for _, o := range table {
			if o.group == s.group {
				b.WriteByte('\n')
				sampleOption(&b, &o)
			}
		}
	}
	return b.String()
}

func sampleOption(b *strings.Builder, o *option) {
	comment(b, fmt.Sprintf("%s (%s)", o.help, o.typeName))
	if o.unit != "" {
		comment(b, "Unit: "+o.unit)
	}
	comment(b, "Valid: "+o.valid)
	if o.generation != everyGeneration {
		comment(b, "Dragonflow generation: "+o.generation.String())
	}
	for _, a := range o.aliases {
		comment(b, fmt.Sprintf("Deprecated name: [%s] %s", a.group, a.name))
	}
	b.WriteString(strings.TrimRight(fmt.Sprintf("#%s = %s", o.name, o.byDefault), " ") + "\n")
}

// comment writes text as comment lines, wrapped.
func comment(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > sampleWidth && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
