package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/redis"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

// budget is what may wait for a reader who doesn't read: an inbox.
const budget = 1 << 20

// TestSlowReader: who doesn't read costs memory up to a bound and stops nobody.
// What the server dropped meanwhile is told, in its place.
func TestSlowReader(t *testing.T) {
	s := redisserver.Start(t, "--client-output-buffer-limit", "pubsub 1mb 0 0")
	for _, d := range []redis.Driver{{}, {Streams: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			drivertest.CheckLeaks(t)
			cfg := config("standalone", s.Addr)
			cfg.MaxPayload = 256 << 10
			cfg.Params["stream_length"] = "20"
			pub, sub := open(t, d, cfg)
			defer pub.Close()
			defer sub.Close()
			if err := sub.Subscribe(t.Context(), "T"); err != nil {
				t.Fatal(err)
			}
			// More than sockets, the inbox and the server's buffer hold together.
			const count, size = 1000, 50 << 10
			for i := range count {
				payload := append(fmt.Appendf(nil, "%d ", i), make([]byte, size)...)
				if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("T"), Payload: payload}}); err != nil {
					t.Fatal(err)
				}
			}
			if got := sub.(driver.Statuser).Status().Retained; got > budget {
				t.Errorf("%d bytes wait for who doesn't read, more than %d", got, budget)
			}
			tell(t, pub, sub, count, d.Streams)
		})
	}
}

// tell reads until what is published now comes, and checks that each message is
// there or was told to be missing: in its place, or a moment afterwards, when the
// stream was looked at.
func tell(t *testing.T, pub driver.Publisher, sub driver.Subscriber, count int, afterwards bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	got := make([]driver.Message, 16)
	next, told := 0, false
	published := false
	for {
		n, err := sub.Receive(ctx, got)
		if err != nil {
			t.Fatalf("after %d, told: %v: %v", next-1, told, err)
		}
		for _, m := range got[:n] {
			switch m.Notice {
			case driver.Behind:
				told = true
			case driver.NoNotice:
				var i int
				if _, err := fmt.Sscan(string(m.Payload[:min(8, len(m.Payload))]), &i); err != nil {
					t.Fatal(err)
				}
				if i == count {
					if !told {
						t.Errorf("nobody was told that something is missing")
					}
					return
				}
				if i != next && !told && !afterwards {
					t.Errorf("%d after %d, and nobody was told", i, next-1)
				}
				next = i + 1
			}
		}
		if told && !published {
			published = true
			if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("T"), Payload: fmt.Appendf(nil, "%d ", count)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
