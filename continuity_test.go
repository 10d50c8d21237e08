package wyvern

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
)

// A handler that takes its time hears nobody meanwhile. That is no silence.
func TestBusyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := newWire(lossyCaps)
		w.sub.few = 1 // the driver's own queue is short
		p, s := w.open(t, func(ctx context.Context, e Event) error {
			switch e.Key {
			case "minute":
				time.Sleep(time.Minute)
			case "seconds":
				time.Sleep(2 * time.Second)
			}
			return r.handle(ctx, e)
		}, "T")
		defer s.Close()
		defer p.Close()
		publish(t, p, "T", "1")
		settle(r)
		publish(t, p, "T", "minute")
		time.Sleep(70 * time.Second)
		want := []string{"T/minute"}
		for range 20 {
			publish(t, p, "T", "seconds")
			want = append(want, "T/seconds")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		wantTexts(t, r, want...)
		w.dropping(func(*driver.Message, *envelope.Fields) bool { return true })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantTexts(t, r, append(want, "T!publisher lost")...)
	})
}

// Nor is what was overtaken missing, that could have come meanwhile.
func TestBusyHandlerReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, half := &recorder{}, newFakeSubscriber()
		half.few = 1
		caps := lossyCaps
		caps.Ordered, caps.Liveness = false, true
		openFakeSubscriber(t, half, func(ctx context.Context, e Event) error {
			if e.Key == "slow" {
				time.Sleep(10 * reorderPatience)
			}
			return r.handle(ctx, e)
		}, holding("T", "U"), func(o *SubscriberOptions) { o.Driver = fakeDriver{caps: caps, sub: half} })
		numbered := func(topic, key string, seq uint64) {
			e := setEvent(key)
			e.Epoch, e.Seq = 1, seq
			half.put(message(topic, e))
		}
		numbered("T", "1", 1)
		settle(r)
		numbered("T", "3", 3)
		numbered("U", "slow", 1)
		numbered("U", "quick", 2)
		numbered("T", "2", 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantTexts(t, r, "U/slow", "U/quick", "T/2", "T/3")
	})
}
