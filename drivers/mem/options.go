package mem

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

const scheme = "mem"

// addr is the name of a half, as a net.Addr.
type addr string

// Network returns "mem".
func (addr) Network() string { return scheme }

// String returns the name, without the scheme.
func (a addr) String() string { return string(a) }

func (a addr) uri() string { return scheme + "://" + string(a) }

// parse returns the name in a URI.
func parse(uri string) (addr, error) {
	name, ok := strings.CutPrefix(uri, scheme+"://")
	if !ok || name == "" {
		return "", driver.WithHint(fmt.Errorf("bad address %q", uri), "write mem://name")
	}
	return addr(name), nil
}

// check reports what makes no sense in a configuration.
func check(cfg driver.Config) error {
	for name := range cfg.Params {
		return driver.WithHint(fmt.Errorf("unknown parameter %q", name), "this driver has no parameters")
	}
	return nil
}

// inUse is the error for a name that somebody has bound.
func inUse(name addr, who string) error {
	return driver.WithHint(fmt.Errorf("%q is in use by another %s", name, who), "choose another socket, or close that "+who)
}

var errNoSocket = driver.WithHint(errors.New("no address to meet at"), "set the socket to any name")
