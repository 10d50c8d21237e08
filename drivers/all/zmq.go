//go:build !no_zmq

package all

import _ "github.com/wyvern-pubsub/wyvern/drivers/zmq"
