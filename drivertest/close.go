package drivertest

import (
	"context"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var closeCases = []testCase{
	{"UseAfterClose", "after Close every method returns ErrClosed, Close itself nil, and a status can still be had", testUseAfterClose},
	{"ConcurrentClose", "Close may be called by several goroutines at once, while everything is running", testConcurrentClose},
	{"Reopen", "a place whose halves were closed can be used again", testReopen},
	{"OpenCancelled", "Open with a context that has ended returns, and leaves nothing behind", testOpenCancelled},
	{"Goroutines", "Close releases everything: no goroutine is left", testGoroutines},
}

func testUseAfterClose(p *place) {
	pub := p.publisher()
	sub := p.idle([]string{"T"})
	sub.meetIdle(pub)
	p.finish("Close", func() {
		for range 2 {
			if err := pub.Close(); err != nil {
				p.Errorf("Close of the publisher: %v", err)
			}
			if err := sub.Close(); err != nil {
				p.Errorf("Close of the subscriber: %v", err)
			}
		}
	})
	p.finish("a call after Close", func() {
		n, err := pub.Publish(p.ctx, []driver.Message{{Topic: []byte("T"), Payload: []byte("late")}})
		if n != 0 {
			p.Errorf("Publish accepted %d", n)
		}
		p.wantClosed("Publish", err)
		p.wantClosed("Flush", pub.Flush(p.ctx))
		n, err = sub.Receive(p.ctx, make([]driver.Message, 1))
		if n != 0 {
			p.Errorf("Receive returned %d", n)
		}
		p.wantClosed("Receive", err)
		p.wantClosed("Subscribe", sub.Subscribe(p.ctx, "another"))
		p.wantClosed("Unsubscribe", sub.Unsubscribe(p.ctx, "T"))
		if c, ok := sub.Subscriber.(driver.Connector); ok {
			p.wantClosed("Connect", c.Connect(p.h.URI(pub.Publisher)))
			p.wantClosed("Disconnect", c.Disconnect(p.h.URI(pub.Publisher)))
		}
		if a, ok := sub.Subscriber.(driver.Awaiter); ok {
			p.wantClosed("Await", a.Await(p.ctx))
		}
		if d, ok := sub.Subscriber.(driver.Drainer); ok {
			d.Drain()
		}
		for _, half := range []any{pub.Publisher, sub.Subscriber} {
			if s, ok := half.(driver.Statuser); ok {
				s.Status()
			}
			if b, ok := half.(driver.Bound); ok {
				b.Addr()
			}
		}
	})
}

func testConcurrentClose(p *place) {
	for range 5 {
		pub := p.publisher(smallQueue)
		sub := p.idle([]string{"T"}, smallQueue)
		sub.start()
		sub.meet(pub)
		f := startFlood(p.ctx, pub)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { pub.Close() })
			all.Go(func() {
				// What a subscriber reads is the driver's until Close: so
				// what receives is stopped first.
				sub.stop()
				<-sub.ended
				sub.Close()
			})
			all.Go(func() {
				sub.Subscribe(p.ctx, "another")
				sub.Unsubscribe(p.ctx, "another")
			})
		}
		p.finish("concurrent Close", all.Wait)
		p.ends("Publish, after Close,", f.done)
	}
}

func testReopen(p *place) {
	for range 3 {
		pub := p.publisher()
		sub := p.subscriber([]string{"T"}, pub)
		pub.send("T", "hello")
		if got := sub.awaitText("T", "hello"); len(got) != 1 && !p.caps.Persistent {
			p.Errorf("got %q: what was sent to another subscriber?", got)
		}
		sub.halt()
		sub.Close()
		pub.Close()
	}
}

func testOpenCancelled(p *place) {
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	p.finish("Open with a context that had ended", func() {
		cfg := p.config()
		if pub, err := p.h.Driver.OpenPublisher(ctx, cfg); err == nil {
			pub.Close()
		}
		cfg.AllTopics = !p.caps.Filters
		if sub, err := p.h.Driver.OpenSubscriber(ctx, cfg); err == nil {
			sub.Close()
		}
	})
}

func testGoroutines(p *place) {
	for range 10 {
		// Connected, and with something on its way.
		pub := p.publisher()
		sub := p.idle([]string{"T"})
		sub.meetIdle(pub)
		pub.send("T", "hello")
		p.finish("Close", func() {
			sub.Close()
			pub.Close()
		})
		// Never connected at all.
		alone := p.publisher()
		lonely := p.idle([]string{"T"})
		p.finish("Close", func() {
			alone.Close()
			lonely.Close()
		})
	}
	// What is left is found by the check that ends every case.
}
