// Package all links every driver into a program:
//
//	import _ "github.com/wyvern-pubsub/wyvern/drivers/all"
package all

import (
	_ "github.com/wyvern-pubsub/wyvern/drivers/mem"
	_ "github.com/wyvern-pubsub/wyvern/drivers/zmq"
)
