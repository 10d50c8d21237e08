package config

import (
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// mask stands for the value of a secret option.
const mask = "***"

// A Setting is the effective value of an option, for people to read.
type Setting struct {
	Group, Name string
	Value       string // as a file would have it, but after substitution; *** if secret, or where servers name a password
	Default     string // before substitution
	Source      string // SourceDefault, "file.ini:12", "environment WYVERN_...", "--set"
	Help        string
}

// Settings returns the effective value of every option and where it came from,
// in the order of the table.
func (c *Config) Settings() []Setting { return c.settings(options()) }

func (c *Config) settings(table []option) []Setting {
	var settings []Setting
	for _, o := range table {
		s := Setting{Group: o.group, Name: o.name, Value: o.get(c), Default: o.byDefault, Source: sourceDefault, Help: o.help}
		if source, set := c.sources[o.key()]; set {
			s.Source = source
		}
		if o.secret && s.Value != "" {
			s.Value = mask
		}
		if o.name == driver.ServersOption {
			servers := strings.Split(s.Value, ",")
			for i, server := range servers {
				servers[i] = driver.Redact(server)
			}
			s.Value = strings.Join(servers, ",")
		}
		settings = append(settings, s)
	}
	return settings
}
