package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/wyvern-pubsub/wyvern/config"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// startBroker starts a server for the network driver, if that has a broker of
// which the configuration names no server, and this program can run one. sets
// are what the processes of a demo must have set to find it.
func startBroker(ctx context.Context, c *config.Config) (sets []string, stop func() error, err error) {
	none := func() error { return nil }
	group, starter := starterFor(c.DF.PubSubDriver)
	if starter == nil || serversSet(c, group) {
		return nil, none, nil
	}
	dir, err := os.MkdirTemp("", "wyvern-broker-")
	if err != nil {
		return nil, none, fmt.Errorf("make a directory for the broker: %w", err)
	}
	servers, end, err := starter.StartServer(ctx, dir)
	if err != nil {
		return nil, none, errors.Join(fmt.Errorf("start a broker: %w", err), os.RemoveAll(dir))
	}
	sets = []string{config.DriverGroup(group) + "." + driver.ServersOption + "=" + strings.Join(servers, ",")}
	return sets, func() error { return errors.Join(end(), os.RemoveAll(dir)) }, nil
}

// starterFor returns the group of an alias whose driver has a broker, and a
// driver of that group that can run one, or nil.
func starterFor(alias string) (group string, starter driver.Starter) {
	aliases := driver.Aliases()
	i := slices.IndexFunc(aliases, func(a driver.Alias) bool { return a.Name == alias })
	if i < 0 || aliases[i].Group == "" || aliases[i].Network.Driver == nil || aliases[i].Network.Driver.Capabilities().Binds != 0 {
		return "", nil
	}
	group = aliases[i].Group
	for _, a := range aliases {
		if s, ok := a.Network.Driver.(driver.Starter); ok && s.Serves() == group {
			return group, s
		}
	}
	return group, nil
}

// serversSet says whether the person named the servers.
func serversSet(c *config.Config, group string) bool {
	for _, s := range c.Settings() {
		if s.Group == config.DriverGroup(group) && s.Name == driver.ServersOption {
			return s.Source != config.SourceDefault
		}
	}
	return false
}
