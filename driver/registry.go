package driver

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Hop is one of the two legs that an event travels.
type Hop uint8

// The hops.
const (
	Network Hop = iota // from a publisher service to the nodes
	IPC                // from a worker to the publisher service of its server
)

// String returns "network" or "ipc".
func (h Hop) String() string {
	if h == IPC {
		return "ipc"
	}
	return "network"
}

// Part is what an alias means on one hop. The zero value: nothing.
type Part struct {
	Driver Driver
	Roles  Roles
}

// Alias is a name by which configurations choose drivers. One name may mean
// different drivers on the two hops, and may play only one role on a hop.
type Alias struct {
	Name    string
	Network Part
	IPC     Part

	// Options are what configurations may say to the driver, and Group names
	// where: in section [wyvern_<Group>]. Aliases of one Group have the same
	// Options. Without Options there is no section.
	Group   string
	Options []Option
}

// Option is something that only one driver, or its kind, can be told: an
// entry of Config.Params, but for the one named [ServersOption].
type Option struct {
	// Name is in lower case, with _ between words.
	Name string
	// Default is what the option means when it is not set, as a configuration
	// would say it. It may refer to other options, as $df.remote_db_hosts,
	// where Name is ServersOption; the driver itself never sees that.
	Default string
	// Help is for the person who sets it: whole sentences.
	Help string
	// Valid says what is valid, to follow "not": "a duration".
	Valid string
	// Check reports what is not valid; nil: everything is.
	Check func(text string) error
	// Secret: the value is never shown.
	Secret bool
}

// ServersOption is the name of the option that becomes Config.Servers: a list
// with commas.
const ServersOption = "servers"

// Part returns what the alias means on a hop.
func (a Alias) Part(h Hop) Part {
	if h == IPC {
		return a.IPC
	}
	return a.Network
}

// The registry is the one global state of the product. It can be avoided:
// package wyvern takes a Driver as well as an alias.
var registry struct {
	mu      sync.Mutex
	aliases []Alias // sorted by name
}

// Register makes an alias known. It is called from init functions and panics
// when the name is taken, or when there are options without a group.
func Register(a Alias) {
	if a.Options != nil && a.Group == "" {
		panic("driver: alias with options and no group: " + a.Name)
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	i, found := slices.BinarySearchFunc(registry.aliases, a.Name, func(a Alias, name string) int {
		return strings.Compare(a.Name, name)
	})
	if found {
		panic("driver: alias registered twice: " + a.Name)
	}
	registry.aliases = slices.Insert(registry.aliases, i, a)
}

// Aliases returns all that are registered, sorted by name.
func Aliases() []Alias {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return slices.Clone(registry.aliases)
}

// Lookup returns the driver that an alias means on a hop, if it plays the
// role. Otherwise the error names the aliases that do.
func Lookup(name string, h Hop, role Roles) (Driver, error) {
	var valid []string
	known := false
	for _, a := range Aliases() {
		p := a.Part(h)
		known = known || a.Name == name
		if p.Driver == nil || p.Roles&role != role {
			continue
		}
		if a.Name == name {
			return p.Driver, nil
		}
		valid = append(valid, a.Name)
	}
	hint := fmt.Sprintf("aliases for the %s %s: %s", h, role, strings.Join(valid, ", "))
	if len(valid) == 0 {
		hint = "no driver is linked into this program: import one, or drivers/all"
	}
	if known {
		return nil, WithHint(fmt.Errorf("driver %q can't be the %s %s", name, h, role), hint)
	}
	return nil, WithHint(fmt.Errorf("unknown driver alias %q", name), hint+"; a build may leave others out")
}
