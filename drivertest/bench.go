package drivertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// benchPayload is the size of a typical event.
const benchPayload = 200

// Benchmark measures a driver, without the core: with b.N messages of 200
// bytes each.
//
//	Publish     one at a time, to nobody who holds the topic; where the driver
//	            doesn't filter, to one subscriber
//	FanOut/n    in batches, until the last of n subscribers has the last one;
//	            one subscriber where they bind
//	Receive     one at a time, until one subscriber has the last one: what it
//	            costs to receive when batches don't help
//	RoundTrip   there by one publisher and back by another, one at a time
func Benchmark(b *testing.B, h Harness) {
	h = h.withDefaults()
	h.Timeout = time.Hour // a benchmark's length is not the suite's business
	binds := h.Driver.Capabilities().Binds == driver.Subscribes
	b.Run("Publish", func(b *testing.B) { benchPublish(b, h) })
	for _, n := range []int{1, 10} {
		if n > 1 && binds {
			continue
		}
		b.Run(fmt.Sprintf("FanOut/%d", n), func(b *testing.B) { benchFanOut(b, h, n, maxBenchBatch) })
	}
	b.Run("Receive", func(b *testing.B) { benchFanOut(b, h, 1, 1) })
	b.Run("RoundTrip", func(b *testing.B) { benchRoundTrip(b, h) })
}

const maxBenchBatch = 512

// counter receives and counts.
type counter struct {
	received atomic.Int64
	arrived  chan struct{} // one for each Receive, if there is room
	stop     context.CancelFunc
	ended    chan struct{}
}

func count(s *subscriber) *counter {
	ctx, cancel := context.WithCancel(context.Background())
	c := &counter{arrived: make(chan struct{}, 1), stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		batch := make([]driver.Message, maxBenchBatch)
		for {
			n, err := s.Receive(ctx, batch)
			if err != nil {
				return
			}
			for i := range batch[:n] {
				if !isProbe(string(batch[i].Topic)) && batch[i].Notice == driver.NoNotice {
					c.received.Add(1)
				}
			}
			select {
			case c.arrived <- struct{}{}:
			default:
			}
		}
	}()
	s.p.Cleanup(func() {
		cancel()
		<-c.ended
	})
	return c
}

func (c *counter) wait(n int) {
	for c.received.Load() < int64(n) {
		<-c.arrived
	}
}

func benchMessages(n int) []driver.Message {
	payload := make([]byte, benchPayload)
	msgs := make([]driver.Message, n)
	for i := range msgs {
		msgs[i] = driver.Message{Topic: []byte("T"), Payload: payload}
	}
	return msgs
}

func benchPublish(b *testing.B, h Harness) {
	p := newPlace(b, h)
	pub := p.publisher()
	if !p.caps.Filters {
		sub := p.idle(nil)
		sub.meetIdle(pub)
		count(sub)
	}
	msgs := benchMessages(1)
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pub.Publish(p.ctx, msgs); err != nil {
			b.Fatal(err)
		}
	}
}

// benchFanOut publishes b.N messages and waits until everybody has them.
func benchFanOut(b *testing.B, h Harness, subscribers, batch int) {
	p := newPlace(b, h)
	pub := p.publisher()
	var counters []*counter
	for range subscribers {
		sub := p.idle([]string{"T"})
		sub.meetIdle(pub)
		counters = append(counters, count(sub))
	}
	msgs := benchMessages(batch)
	b.SetBytes(benchPayload)
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		some := msgs[:min(batch, b.N-sent)]
		if _, err := pub.Publish(p.ctx, some); err != nil {
			b.Fatal(err)
		}
		sent += len(some)
		if p.caps.Lossy && sent%batch == 0 {
			for _, c := range counters {
				c.wait(sent)
			}
		}
	}
	for _, c := range counters {
		c.wait(b.N)
	}
	b.ReportMetric(float64(b.N*subscribers)/b.Elapsed().Seconds(), "deliveries/s")
}

func benchRoundTrip(b *testing.B, h Harness) {
	there, back := newPlace(b, h), newPlace(b, h)
	connect := func(p *place) (*publisher, *subscriber) {
		pub := p.publisher()
		sub := p.idle([]string{"T"})
		sub.meetIdle(pub)
		return pub, sub
	}
	ping, pingSub := connect(there)
	pong, pongSub := connect(back)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		batch := make([]driver.Message, 1)
		for {
			if _, err := pingSub.Receive(ctx, batch); err != nil {
				return
			}
			if _, err := pong.Publish(ctx, batch); err != nil {
				return
			}
		}
	}()
	b.Cleanup(func() { cancel(); <-ended })
	msgs, batch := benchMessages(1), make([]driver.Message, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ping.Publish(there.ctx, msgs); err != nil {
			b.Fatal(err)
		}
		if _, err := pongSub.Receive(back.ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}
