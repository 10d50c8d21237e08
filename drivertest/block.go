package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var blockCases = []testCase{
	{"ReceiveCancelled", "an idle Receive returns the context's error when that ends, and loses nothing", testReceiveCancelled},
	{"PublishCancelled", "a blocked Publish returns the context's error when that ends, and how many messages were accepted: those arrive, the others never", testPublishCancelled},
	{"CancelledBefore", "a call whose context has ended before returns, and harms nothing", testCancelledBefore},
	{"CloseWakesReceive", "Close wakes an idle Receive, which returns ErrClosed", testCloseWakesReceive},
	{"CloseWakesPublish", "Close wakes a blocked Publish, which returns ErrClosed", testCloseWakesPublish},
}

func testReceiveCancelled(p *place) {
	pub := p.publisher()
	sub := p.idle([]string{"T"})
	sub.meetIdle(pub)
	batch := make([]driver.Message, 10)
	for i := range 20 {
		ctx, cancel := context.WithCancel(p.ctx)
		type result struct {
			got []message
			err error
		}
		results := make(chan result, 1)
		go func() {
			n, err := sub.Receive(ctx, batch)
			var r result
			for _, m := range batch[:n] {
				r.got = append(r.got, keep(m))
			}
			r.err = err
			results <- r
		}()
		cancel()
		select {
		case r := <-results:
			if len(r.got) != 0 || !errors.Is(r.err, context.Canceled) {
				p.Fatalf("Receive with nothing to receive and an ended context: %q, %v", r.got, r.err)
			}
		case <-p.ctx.Done():
			// The goroutine is left to the half's Close.
			p.Fatalf("Receive did not return when its context ended")
		}
		text := fmt.Sprint(i)
		pub.send("T", text)
		n := sub.receive(batch)
		if got := keep(batch[0]); n != 1 || got.text != text {
			p.Fatalf("after a Receive that was cancelled: %d messages, the first %q, want %q", n, got.text, text)
		}
	}
}

// flood publishes until it fails or ctx ends or limit bytes were accepted. It
// counts what was accepted.
type flood struct {
	accepted atomic.Int64
	err      error // set before done is closed
	done     chan struct{}
}

// floodLimit is how much a driver that never blocks is given: less than what
// it has to retain for a subscriber that is slow.
const (
	floodLimit   = 16 << 20
	floodMessage = 16 << 10
	floodBatch   = 8
)

func floodText(i int) string {
	return fmt.Sprintf("%d %s", i, strings.Repeat("f", floodMessage))[:floodMessage]
}

func startFlood(ctx context.Context, pub *publisher) *flood {
	f := &flood{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for i := 0; i < floodLimit/floodMessage; {
			msgs := make([]driver.Message, floodBatch)
			for k := range msgs {
				msgs[k] = driver.Message{Topic: []byte("T"), Payload: []byte(floodText(i + k))}
			}
			n, err := pub.Publish(ctx, msgs)
			i += n
			f.accepted.Add(int64(n))
			if (n < len(msgs)) != (err != nil) {
				pub.p.Errorf("Publish of %d messages: %d, %v: fewer exactly when there is an error", len(msgs), n, err)
				return
			}
			if err != nil {
				f.err = err
				return
			}
		}
	}()
	return f
}

// stalled blocks until Publish seems to block, which only time can tell, or all
// was accepted. Nothing depends on it being right: if it is wrong, what follows
// only meets a Publish that is running.
func (f *flood) stalled(p *place) {
	p.Helper()
	const patience = 20
	last, same := int64(-1), 0
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for same < patience {
		select {
		case <-f.done:
			return
		case <-tick.C:
		case <-p.ctx.Done():
			p.Fatalf("%d messages were accepted, and no end", f.accepted.Load())
		}
		if now := f.accepted.Load(); now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
}

// smallQueue makes queues so small that they are full soon.
func smallQueue(c *driver.Config) { c.Queue = 64 << 10 }

// blocked opens a publisher and a subscriber that nobody receives from.
func (p *place) blocked() (*publisher, *subscriber) {
	p.Helper()
	pub := p.publisher(smallQueue)
	sub := p.idle([]string{"T"}, smallQueue)
	sub.meetIdle(pub)
	return pub, sub
}

func testPublishCancelled(p *place) {
	pub, sub := p.blocked()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	f := startFlood(ctx, pub)
	f.stalled(p)
	cancel()
	p.ends("Publish, after its context ended,", f.done)
	if f.err != nil && !errors.Is(f.err, context.Canceled) {
		p.Errorf("Publish: %v, want %v", f.err, context.Canceled)
	}
	sub.start()
	pub.send("T", "end")
	got := sub.awaitText("T", "end")
	if p.caps.Lossy {
		return // adapted: the publisher is fine, and that is all
	}
	accepted := int(f.accepted.Load())
	if errors.Is(f.err, driver.ErrUnsure) {
		// Some of the batch that was cancelled may have arrived after all.
		accepted += min(max(0, len(got)-1-accepted), floodBatch)
	}
	var want []message
	for i := range accepted {
		want = append(want, message{"T", floodText(i), pub.id})
	}
	want = append(want, message{"T", "end", pub.id})
	p.same(fmt.Sprintf("after %d messages were accepted", accepted), got, want)
}

func testCancelledBefore(p *place) {
	pub := p.publisher()
	sub := p.idle([]string{"T"})
	sub.meetIdle(pub)
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	p.finish("a call whose context had ended", func() {
		n, err := pub.Publish(ctx, []driver.Message{{Topic: []byte("T"), Payload: []byte("perhaps")}})
		if (n == 1) != (err == nil) || err != nil && !errors.Is(err, context.Canceled) {
			p.Errorf("Publish: %d, %v", n, err)
		}
		if err := pub.Flush(ctx); err != nil && !errors.Is(err, context.Canceled) {
			p.Errorf("Flush: %v", err)
		}
		if err := sub.Subscribe(ctx, "another"); err != nil && !errors.Is(err, context.Canceled) {
			p.Errorf("Subscribe: %v", err)
		}
		if err := sub.Unsubscribe(ctx, "another"); err != nil && !errors.Is(err, context.Canceled) {
			p.Errorf("Unsubscribe: %v", err)
		}
		if a, ok := sub.Subscriber.(driver.Awaiter); ok {
			if err := a.Await(ctx); err != nil && !errors.Is(err, context.Canceled) {
				p.Errorf("Await: %v", err)
			}
		}
	})
	sub.start()
	pub.send("T", "end")
	sub.awaitText("T", "end")
}

func testCloseWakesReceive(p *place) {
	for range 10 {
		sub := p.idle([]string{"T"})
		errs := make(chan error, 1)
		go func() {
			_, err := sub.Receive(p.ctx, make([]driver.Message, 10))
			errs <- err
		}()
		p.finish("Close of a subscriber with a Receive", func() { sub.Close() })
		select {
		case err := <-errs:
			p.wantClosed("Receive", err)
		case <-p.ctx.Done():
			p.Fatalf("Close did not wake Receive")
		}
	}
}

func testCloseWakesPublish(p *place) {
	pub, sub := p.blocked()
	f := startFlood(p.ctx, pub)
	f.stalled(p)
	p.finish("Close of a publisher with a Publish", func() { pub.Close() })
	p.ends("Publish, after Close,", f.done)
	if f.err != nil || f.accepted.Load() < floodLimit/floodMessage {
		p.wantClosed("Publish", f.err)
	}
	// A Flush that waits for a full queue is woken as well.
	sub.Close()
	pub, _ = p.blocked()
	f = startFlood(p.ctx, pub)
	f.stalled(p)
	errs := make(chan error, 1)
	go func() { errs <- pub.Flush(p.ctx) }()
	p.finish("Close of a publisher with a Flush", func() { pub.Close() })
	p.ends("Publish, after Close,", f.done)
	select {
	case err := <-errs:
		if err != nil && !errors.Is(err, driver.ErrClosed) {
			// A driver may say first that its peer takes nothing.
			p.Logf("Flush: %v", err)
		}
	case <-p.ctx.Done():
		p.Fatalf("Close did not wake Flush")
	}
}
