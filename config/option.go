package config

import (
	"slices"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// A key names an option.
type key struct{ group, name string }

var (
	keyIPCSocket       = key{"df_zmq", "ipc_socket"}
	keyMultiprocSocket = key{"df", "publisher_multiproc_socket"}
)

// A generation says which Dragonflow has an option.
type generation int

const (
	everyGeneration generation = iota
	firstGeneration            // up to mid 2018
	secondGeneration
)

func (g generation) String() string {
	return [...]string{"every", "first (until mid 2018)", "second (since mid 2018)"}[g]
}

// An option is one row of the table: parsing, printing and the sample all
// come from it.
type option struct {
	group, name string
	byDefault   string // as it would stand in a file
	help        string // whole sentences
	unit        string // of a bare number; empty: none
	generation  generation
	aliases     []key // deprecated names of the option
	secret      bool  // the value is never shown

	// define sets these.
	typeName string // "port value"
	valid    string // "a port (0..65535)"
	set      func(c *Config, text string) error
	get      func(c *Config) string // what set reads back
	field    func(c *Config) any    // pointer to the field
}

func (o *option) key() key { return key{o.group, o.name} }

// A section is a group of options of ours.
type section struct {
	group, help string
	exclusive   bool // no other program has options in it
}

func sections() []section {
	return append([]section{
		{"df", "Dragonflow's options, as far as they concern publish-subscribe.", false},
		{"df_zmq", "Options of Dragonflow's ZeroMQ driver, second generation.", false},
		{"wyvern", "Wyvern's own options. In a size KiB, MiB and GiB are powers of 1024, k, M and G powers of 1000.", true},
	}, driverSections(driverGroups(driver.Aliases()))...)
}

// options returns the table. The order is that of printing.
func options() []option {
	return slices.Concat(dfOptions(), dfZMQOptions(), wyvernOptions(), driverOptions(driverGroups(driver.Aliases())))
}

// define ties a row to its type and to its field.
func define[T any](o option, t valueType[T], field func(*Config) *T) option {
	o.typeName, o.valid = t.name, t.valid
	o.set = func(c *Config, text string) error {
		v, err := t.parse(text)
		if err == nil {
			*field(c) = v
		}
		return err
	}
	o.get = func(c *Config) string { return t.format(*field(c)) }
	o.field = func(c *Config) any { return field(c) }
	return o
}

// normalizeGroup folds a group's name as oslo.config does.
func normalizeGroup(name string) string {
	if name == "DEFAULT" {
		return name
	}
	return strings.ToLower(name)
}
