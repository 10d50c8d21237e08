package redis_test

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

func TestPubSubNotice(t *testing.T) {
	drivertest.RunNotice(t, harness(false, "standalone", redisserver.Start(t).Addr))
}

func TestStreamsNotice(t *testing.T) {
	drivertest.RunNotice(t, harness(true, "standalone", redisserver.Start(t).Addr))
}
