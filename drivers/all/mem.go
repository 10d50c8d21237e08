//go:build !no_mem

package all

import _ "github.com/wyvern-pubsub/wyvern/drivers/mem"
