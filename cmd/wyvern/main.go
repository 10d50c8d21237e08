// Command wyvern is the publisher service, and everything that one needs to
// try it: a worker, a node, and the whole system on one machine.
package main

import (
	"github.com/wyvern-pubsub/wyvern/cli"
	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version string

func main() { cli.Main(version) }
