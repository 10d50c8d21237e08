package config

import (
	"slices"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// driverPrefix begins the groups of drivers' options.
const driverPrefix = "wyvern_"

// DriverGroup returns the group that has the options of a driver's group.
func DriverGroup(name string) string { return driverPrefix + name }

// A driverGroup is the part of the configuration that drivers of one kind have
// to themselves.
type driverGroup struct {
	name    string
	aliases []string
	options []driver.Option
}

// driverGroups are those of the aliases, in their order.
func driverGroups(aliases []driver.Alias) []driverGroup {
	var groups []driverGroup
	for _, a := range aliases {
		if a.Group == "" {
			continue
		}
		i := slices.IndexFunc(groups, func(g driverGroup) bool { return g.name == a.Group })
		if i < 0 {
			i = len(groups)
			groups = append(groups, driverGroup{name: a.Group, options: a.Options})
		}
		groups[i].aliases = append(groups[i].aliases, a.Name)
	}
	return groups
}

// driverSections are the groups' headings.
func driverSections(groups []driverGroup) []section {
	var list []section
	for _, g := range groups {
		list = append(list, section{driverPrefix + g.name, "Options of the drivers " + strings.Join(g.aliases, ", ") + ".", true})
	}
	return list
}

// driverOptions are the groups' rows of the table.
func driverOptions(groups []driverGroup) []option {
	var list []option
	for _, g := range groups {
		for _, o := range g.options {
			list = append(list, driverOption(g.name, o))
		}
	}
	return list
}

func driverOption(group string, d driver.Option) option {
	return option{
		group: driverPrefix + group, name: d.Name, byDefault: d.Default, help: d.Help, secret: d.Secret,
		typeName: "string value", valid: d.Valid,
		set: func(c *Config, text string) error {
			if d.Check != nil {
				if err := d.Check(text); err != nil {
					return err
				}
			}
			if c.Drivers == nil {
				c.Drivers = map[string]map[string]string{}
			}
			if c.Drivers[group] == nil {
				c.Drivers[group] = map[string]string{}
			}
			c.Drivers[group][d.Name] = text
			return nil
		},
		get: func(c *Config) string { return c.Drivers[group][d.Name] },
	}
}

// tell adds to d what only the driver of an alias is told.
func (c *Config) tell(d *driver.Config, alias string) {
	for _, a := range driver.Aliases() { // if it is none of them, opening says so
		if a.Name == alias {
			c.tellGroup(d, a.Group)
		}
	}
}

func (c *Config) tellGroup(d *driver.Config, group string) {
	for name, text := range c.Drivers[group] {
		if name != driver.ServersOption {
			if d.Params == nil {
				d.Params = map[string]string{}
			}
			d.Params[name] = text
			continue
		}
		for server := range strings.SplitSeq(text, ",") {
			if server = strings.TrimSpace(server); server != "" {
				d.Servers = append(d.Servers, server)
			}
		}
	}
}
