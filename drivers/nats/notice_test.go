package nats_test

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/drivers/nats/embedded"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

func TestPlainNotice(t *testing.T) {
	drivertest.RunNotice(t, harness(embedded.Options{}, nats.Driver{}))
}

func TestJetStreamNotice(t *testing.T) {
	drivertest.RunNotice(t, harness(embedded.Options{JetStream: true}, nats.Driver{JetStream: true}))
}
