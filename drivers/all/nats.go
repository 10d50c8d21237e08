//go:build !no_nats

package all

import (
	_ "github.com/wyvern-pubsub/wyvern/drivers/nats"
	_ "github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
)
