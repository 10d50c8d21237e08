// Command wyvern-tcpfan is wyvern with one driver more.
package main

import (
	_ "example.org/tcpfan"
	"github.com/wyvern-pubsub/wyvern/cli"
	_ "github.com/wyvern-pubsub/wyvern/drivers/zmq"
)

func main() { cli.Main("") }
