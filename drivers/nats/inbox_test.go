package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// A full inbox keeps its bound, and tells of each topic that lost something, at
// the place where that was.
func TestMemoryOfInbox(t *testing.T) {
	const limit, size = 100000, 1000
	b := newInbox(limit)
	for i := range 1000 {
		b.put(driver.Message{Topic: []byte(fmt.Sprint(i % 7)), Payload: make([]byte, size), Source: &driver.Source{Address: fmt.Sprint(i)}})
		if got := b.counters().Retained; got > limit {
			t.Fatalf("%d bytes after %d messages, more than %d", got, i+1, limit)
		}
	}
	if lost := b.counters().Lost; lost == 0 {
		t.Errorf("it says that nothing was lost")
	}
	behind := make(map[string]bool)
	batch := make([]driver.Message, 10)
	next := -1
	for b.counters().Retained > 0 {
		n, err := b.take(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range batch[:n] {
			if m.Notice == driver.Behind {
				if next >= 0 {
					t.Errorf("the notice about %s came after messages that were not dropped", m.Topic)
				}
				behind[string(m.Topic)] = true
				continue
			}
			var i int
			fmt.Sscan(m.Source.Address, &i)
			if next >= 0 && i != next {
				t.Errorf("message %d came, want %d", i, next)
			}
			next = i + 1
		}
	}
	if next != 1000 || len(behind) != 7 {
		t.Errorf("the last message was %d, and %d topics were told; want 999 and 7", next-1, len(behind))
	}
}

// However many topics there are, what is told of them is bounded as well.
func TestMemoryOfNotices(t *testing.T) {
	const limit = 2 << 20
	b := newInbox(limit)
	for i := range 50000 {
		b.put(driver.Message{Topic: []byte(fmt.Sprint(i)), Payload: make([]byte, 100)})
		if got := b.counters().Retained; got > limit {
			t.Fatalf("%d bytes after %d topics, more than %d", got, i+1, limit)
		}
	}
	batch := make([]driver.Message, 1)
	if _, err := b.take(t.Context(), batch); err != nil || batch[0].Notice != driver.Behind || batch[0].Topic != nil {
		t.Errorf("got %+v, %v; want a notice about all topics", batch[0], err)
	}
}

// A message that is larger than the inbox does not stop it.
func TestInboxOverflownByOne(t *testing.T) {
	b := newInbox(1000)
	b.put(driver.Message{Topic: []byte("T"), Payload: make([]byte, 5000)})
	b.put(driver.Message{Topic: []byte("T"), Payload: []byte("next")})
	batch := make([]driver.Message, 5)
	n, err := b.take(t.Context(), batch)
	if n != 2 || err != nil || batch[0].Notice != driver.Behind || string(batch[1].Payload) != "next" {
		t.Errorf("got %d messages %+v, %v", n, batch[:n], err)
	}
}

func TestInboxEnds(t *testing.T) {
	b := newInbox(1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.take(ctx, make([]driver.Message, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	errs := make(chan error)
	go func() {
		_, err := b.take(t.Context(), make([]driver.Message, 1))
		errs <- err
	}()
	b.close()
	if err := <-errs; !errors.Is(err, driver.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
