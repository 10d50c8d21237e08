package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

var coreCases = []testCase{
	{"CoreFilter", "the handler gets the events of the topics that are held, whatever the driver hands over, as they were published", testCoreFilter},
	{"CoreNumbers", "any number of goroutines may publish; the events of a topic arrive numbered 1, 2, 3, ... without a gap", testCoreNumbers},
	{"CoreUnsubscribe", "the handler is not called for a topic after Unsubscribe has returned", testCoreUnsubscribe},
	{"CoreHandler", "a handler that fails or panics is told to resync, and does not stop the stream", testCoreHandler},
	{"CoreMalformed", "a malformed event does not stop the stream, and its topic is resynced", testCoreMalformed},
	{"CoreShutdown", "Shutdown of a publisher flushes; Shutdown of a subscriber lets the handler finish; then both are closed", testCoreShutdown},
	{"CoreCancelled", "whoever waits behind a blocked Publish can give up, and no number is lost by it", testCoreCancelled},
	{"CoreClose", "Close of either half may be called at any time, by several goroutines, and leaves nothing behind", testCoreClose},
}

func testCoreFilter(p *place) {
	pub := p.corePublisher()
	subs := make(map[string]*coreSubscriber)
	for _, topic := range confusing {
		subs[topic] = p.newcomer(nil, []string{topic}, pub)
		if p.caps.Binds == driver.Subscribes {
			break // adapted: there can be one at a time
		}
	}
	for topic, sub := range subs {
		sub.settle([]string{topic}, pub)
	}
	want := make(map[string][]wyvern.Event)
	for i := range window {
		topic := confusing[(i*7+i/4)%len(confusing)]
		e := set(topic, fmt.Sprint(i))
		if i%3 == 0 {
			e = wyvern.Event{Action: wyvern.ActionDelete, Key: fmt.Sprint(i), Topic: topic, Version: uint64(i) + 1}
		}
		if err := pub.Publish(p.ctx, e); err != nil {
			p.Fatalf("Publish: %v", err)
		}
		e.Epoch, e.Seq = pub.Epoch(), uint64(len(want[topic])+1)
		if p.caps.Identifies {
			e.Publisher = pub.ID()
		}
		want[topic] = append(want[topic], e)
	}
	for _, topic := range confusing {
		pub.send(topic, "end")
	}
	for topic, sub := range subs {
		got := sub.awaitKey(topic, "end")
		if !p.caps.Identifies { // then the core may find out, or not
			for i := range got {
				got[i].Publisher = ""
			}
		}
		if p.caps.KeepsTopics() && !slices.Equal(got[:len(got)-1], want[topic]) {
			p.Errorf("the holder of %q got\n%+v\nwant\n%+v", topic, got, want[topic])
		}
		for _, e := range got {
			if e.Topic != topic {
				p.Errorf("the holder of %q got %+v", topic, e)
			}
		}
	}
}

func testCoreNumbers(p *place) {
	const goroutines, count = 8, 150
	topics := []string{"one", "two", "three"}
	pub := p.corePublisher()
	sub := p.coreSubscriber(nil, topics, pub)
	var all sync.WaitGroup
	if p.caps.Lossy {
		// Adapted: a few at a time, and what does not arrive must be told.
		for first := 0; first < goroutines*count; first += window {
			before := len(sub.events())
			for i := first; i < first+window; i++ {
				pub.send(topics[i%3], fmt.Sprint(i))
			}
			for i := first; i < first+window; i++ {
				sub.await(fmt.Sprintf("event %d, or a resync", i), func(got []wyvern.Event) bool {
					return slices.ContainsFunc(got[before:], func(e wyvern.Event) bool {
						return e.Key == fmt.Sprint(i) || e.Action == wyvern.ActionSync && e.Topic == topics[i%3]
					})
				})
			}
		}
	} else {
		for g := range goroutines {
			all.Go(func() {
				for i := range count {
					if err := pub.Publish(p.ctx, set(topics[(g+i)%3], fmt.Sprint(g, i))); err != nil {
						p.Errorf("Publish: %v", err)
						return
					}
				}
			})
		}
		p.finish("concurrent Publish", all.Wait)
	}
	got := sub.await("all events", func(got []wyvern.Event) bool { return p.caps.Lossy || len(got) >= goroutines*count })
	missed := make(map[string]bool)
	seen := make(map[string]map[uint64]bool)
	last := make(map[string]uint64)
	for _, e := range got {
		if p.caps.Lossy && e.Reason != "" {
			missed[e.Topic] = true
			continue
		}
		if seen[e.Topic] == nil {
			seen[e.Topic] = make(map[uint64]bool)
		}
		if e.Epoch != pub.Epoch() || e.Seq == 0 || seen[e.Topic][e.Seq] {
			p.Fatalf("epoch %x, number %d of %q (%s %s): wrong or twice", e.Epoch, e.Seq, e.Topic, e.Action, e.Reason)
		}
		seen[e.Topic][e.Seq] = true
		if p.caps.KeepsTopics() && e.Seq != last[e.Topic]+1 && (!missed[e.Topic] || e.Seq <= last[e.Topic]) {
			p.Fatalf("on %q number %d came after %d", e.Topic, e.Seq, last[e.Topic])
		}
		last[e.Topic], missed[e.Topic] = e.Seq, false
	}
	if p.caps.Lossy && len(seen) != len(topics) {
		p.Errorf("events of %d topics arrived, want %d", len(seen), len(topics))
	}
}

func testCoreUnsubscribe(p *place) {
	pub := p.corePublisher()
	var dropped atomic.Bool
	sub := p.coreSubscriber(func(_ context.Context, e wyvern.Event) error {
		if e.Topic == "moving" && dropped.Load() {
			p.Errorf("the handler got %s on a topic that was dropped", e.Key)
		}
		return nil
	}, []string{"kept"}, pub)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := pub.Publish(p.ctx, set("moving", fmt.Sprint(i))); err != nil {
				p.Errorf("Publish: %v", err)
				return
			}
			if p.caps.Lossy || i%100 == 99 {
				pub.Flush(p.ctx) // it is not about a backlog
			}
		}
	}()
	for range 20 {
		dropped.Store(false)
		if err := sub.Subscribe(p.ctx, "moving"); err != nil {
			p.Fatalf("Subscribe: %v", err)
		}
		n := len(sub.events())
		sub.await("an event of the topic", func(got []wyvern.Event) bool { return len(got) > n })
		if err := sub.Unsubscribe(p.ctx, "moving"); err != nil {
			p.Fatalf("Unsubscribe: %v", err)
		}
		dropped.Store(true)
	}
	close(stop)
	p.ends("Publish", stopped)
	pub.send("kept", "end")
	sub.awaitKey("kept", "end")
}

func testCoreHandler(p *place) {
	pub := p.corePublisher()
	sub := p.coreSubscriber(func(_ context.Context, e wyvern.Event) error {
		switch e.Key {
		case "fail":
			return errors.New("made to fail")
		case "panic":
			panic("made to panic")
		}
		return nil
	}, []string{"T"}, pub)
	for _, key := range []string{"fail", "panic"} {
		pub.send("T", key)
		sub.await("a resync after "+key, func(got []wyvern.Event) bool {
			last := len(got) - 1
			return last > 0 && got[last-1].Key == key && got[last].Action == wyvern.ActionSync && got[last].Reason == wyvern.ReasonHandler
		})
	}
	pub.send("T", "end")
	sub.awaitKey("T", "end")
	if got := sub.Stats(); got.HandlerErrors != 1 || got.HandlerPanics != 1 || got.Resyncs != sub.told+2 {
		p.Errorf("stats: %+v", got)
	}
}

func testCoreMalformed(p *place) {
	// The driver's publisher, without the core before it.
	pub := p.corePublisher()
	raw := &publisher{pub.half, p, pub.ID()}
	sub := p.coreSubscriber(nil, []string{"T"}, pub)
	raw.send("T", "not an event")
	sub.await("a resync", func(got []wyvern.Event) bool {
		return len(got) == 1 && got[0].Action == wyvern.ActionSync && got[0].Topic == "T" && got[0].Reason == wyvern.ReasonMalformed
	})
	raw.send("T", goodBody)
	sub.awaitKey("T", "k")
	if got := sub.Stats(); got.Malformed != 1 || got.Resyncs != sub.told+1 {
		p.Errorf("stats: %+v", got)
	}
}

// goodBody is an event as Dragonflow writes it.
const goodBody = "\x85\xa5table\xa1t\xa3key\xa1k\xa6action\xa3set\xa5value\xc0\xa5topic\xa1T"

func testCoreShutdown(p *place) {
	pub := p.corePublisher()
	entered, leave := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	sub := p.coreSubscriber(func(_ context.Context, e wyvern.Event) error {
		if e.Key == "last" {
			close(entered)
			<-leave
			finished.Store(true)
		}
		return nil
	}, []string{"T"}, pub)
	for i := range window - 1 {
		pub.send("T", fmt.Sprint(i))
	}
	pub.send("T", "last")
	if err := pub.Shutdown(p.ctx); err != nil {
		p.Errorf("Shutdown of the publisher: %v", err)
	}
	p.wantClosed("Publish", pub.Publish(p.ctx, set("T", "late")))
	p.ends("the handler of the last event", entered)
	if got := sub.events(); len(got) != window {
		p.Errorf("%d events arrived, want %d", len(got), window)
	}
	errs := make(chan error, 1)
	go func() { errs <- sub.Shutdown(p.ctx) }()
	close(leave)
	p.ends("the subscriber", sub.Done())
	if err := <-errs; err != nil {
		p.Errorf("Shutdown of the subscriber: %v", err)
	}
	if !finished.Load() {
		p.Errorf("Shutdown did not wait for the handler")
	}
	p.wantClosed("Subscribe", sub.Subscribe(p.ctx, "another"))
}

func testCoreCancelled(p *place) {
	pub := p.corePublisher(smallQueue)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open() // the handler must end for the case to end
	sub := p.coreSubscriber(func(context.Context, wyvern.Event) error {
		<-gate
		return nil
	}, []string{"T"}, pub)
	// Eight publish until the queue is full, or enough was accepted.
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	var accepted, unsure atomic.Int64
	f := &flood{done: make(chan struct{})}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			e := set("T", "key")
			e.Value = floodText(0)
			for range floodLimit / floodMessage / 8 {
				switch err := pub.Publish(ctx, e); {
				case err == nil:
					accepted.Add(1)
					f.accepted.Add(1)
				case !errors.Is(err, context.Canceled):
					p.Errorf("Publish: %v", err)
					return
				default:
					if errors.Is(err, driver.ErrUnsure) {
						unsure.Add(1)
					}
					return
				}
			}
		})
	}
	go func() { all.Wait(); close(f.done) }()
	f.stalled(p)
	cancel()
	p.ends("Publish, after its context ended,", f.done)
	open()
	if p.caps.Lossy {
		return
	}
	pub.send("T", "end")
	got := sub.awaitKey("T", "end")
	if unsure.Load() > 0 {
		// Adapted: what may have been sent has a number, and perhaps arrives.
		arrived := slices.DeleteFunc(slices.Clone(got), func(e wyvern.Event) bool { return e.Action == wyvern.ActionSync })
		if n := int64(len(arrived)) - 1 - accepted.Load(); n < 0 || n > unsure.Load() {
			p.Errorf("%d events arrived, %d were accepted and %d perhaps sent", len(arrived), accepted.Load()+1, unsure.Load())
		}
		return
	}
	if len(got) != int(accepted.Load())+1 {
		p.Errorf("%d events arrived, %d were accepted%s", len(got), accepted.Load()+1, resyncs(got))
	}
	for i, e := range got {
		if p.caps.KeepsTopics() && e.Seq != uint64(i+1) {
			p.Fatalf("event %d has number %d %s", i+1, e.Seq, resyncs(got))
		}
	}
}

func testCoreClose(p *place) {
	for range 5 {
		pub := p.corePublisher(smallQueue)
		sub := p.newcomer(nil, []string{"T"}, pub)
		// Once in any case: what follows may find it closed already.
		if err := sub.Subscribe(p.ctx, "another"); err != nil {
			p.Errorf("Subscribe: %v", err)
		}
		if err := sub.Unsubscribe(p.ctx, "another"); err != nil {
			p.Errorf("Unsubscribe: %v", err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for pub.Publish(p.ctx, set("T", "key")) == nil {
				}
			})
			all.Go(func() {
				for sub.Subscribe(p.ctx, "another") == nil && sub.Unsubscribe(p.ctx, "another") == nil {
				}
			})
			all.Go(func() { pub.Close() })
			all.Go(func() { sub.Close() })
			all.Go(func() { sub.Shutdown(p.ctx) })
		}
		p.finish("concurrent Close", all.Wait)
	}
}
