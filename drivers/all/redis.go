//go:build !no_redis

package all

import _ "github.com/wyvern-pubsub/wyvern/drivers/redis"
