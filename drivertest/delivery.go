package drivertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var deliveryCases = []testCase{
	{"Filter", "a message reaches every holder of its topic once, byte for byte, and nobody else; topics match by equality, never by prefix", testFilter},
	{"Order", "messages of one publisher reach a subscriber in the order in which they were published, or those of each topic do, all of them", testOrder},
	{"SeveralPublishers", "messages of several publishers all reach a subscriber, those of each in order, and under its name where the driver identifies", testSeveralPublishers},
	{"SeveralSubscribers", "every subscriber gets every message; where a subscriber binds, a second one at that address is refused and the first unharmed", testSeveralSubscribers},
	{"Flush", "what was accepted and flushed arrives although the publisher is closed", testFlush},
	{"Drain", "after Drain, Receive returns everything that was sent before, then io.EOF", testDrain},
	{"Status", "a half that has a Status counts what it accepted or handed out", testStatus},
	{"Capabilities", "Capabilities are constant, and agree with what the halves implement", testCapabilities},
}

// confusing are topics of which some begin with others.
var confusing = []string{"a", "ab", "D", "Data"}

func testFilter(p *place) {
	pub := p.publisher()
	if !p.caps.Filters {
		// Adapted: everything arrives, under its own topic.
		sub := p.subscriber(nil, pub)
		want := publishConfusing(pub)
		p.same("the subscriber", sub.awaitCount(len(want)), want)
		return
	}
	type holder struct {
		*subscriber
		topics []string
	}
	var holders []holder
	for i, first := range confusing {
		for _, second := range confusing[i:] {
			topics := slices.Compact([]string{first, second})
			holders = append(holders, holder{p.subscriber(topics, pub), topics})
		}
	}
	all := publishConfusing(pub)
	for _, h := range holders {
		var want []message
		for _, m := range all {
			if slices.Contains(h.topics, m.topic) {
				want = append(want, m)
			}
		}
		// The last message of each topic held is a fence: what was not to
		// come would have come before.
		for _, topic := range h.topics {
			h.awaitText(topic, "end")
		}
		p.same(fmt.Sprintf("the holder of %q", h.topics), h.messages(), want)
	}
}

func publishConfusing(pub *publisher) (sent []message) {
	for i := range window {
		topic := confusing[(i*7+i/4)%len(confusing)]
		text := fmt.Sprintf("%d on %s", i, topic)
		pub.send(topic, text)
		sent = append(sent, message{topic, text, pub.id})
	}
	for _, topic := range confusing {
		pub.send(topic, "end")
		sent = append(sent, message{topic, "end", pub.id})
	}
	return sent
}

func testOrder(p *place) {
	topics := []string{"one", "two", "three"}
	pub := p.publisher()
	sub := p.subscriber(topics, pub)
	const count = 3000
	var want []message
	for i := range count {
		want = append(want, message{topics[i%len(topics)], fmt.Sprint(i), pub.id})
	}
	pub.stream(topics, count, func(i int) string { return fmt.Sprint(i) }, func(n int) {
		if p.caps.Lossy {
			sub.awaitCount(n)
		}
	})
	p.same("the subscriber", sub.awaitCount(count), want)
}

func testSeveralPublishers(p *place) {
	const publishers, count = 4, 400
	var pubs []*publisher
	for range publishers {
		pubs = append(pubs, p.publisher())
	}
	sub := p.subscriber([]string{"T"}, pubs...)
	text := func(pub *publisher, i int) string { return fmt.Sprintf("%s: %d", pub.id, i) }
	if p.caps.Lossy {
		for _, pub := range pubs {
			start := len(sub.messages())
			pub.stream([]string{"T"}, count, func(i int) string { return text(pub, i) }, func(n int) { sub.awaitCount(start + n) })
		}
	} else {
		var all sync.WaitGroup
		for _, pub := range pubs {
			all.Go(func() {
				for i := range count {
					m := driver.Message{Topic: []byte("T"), Payload: []byte(text(pub, i))}
					if _, err := pub.Publish(p.ctx, []driver.Message{m}); err != nil {
						p.Errorf("Publish: %v", err)
						return
					}
				}
			})
		}
		p.finish("concurrent Publish of several publishers", all.Wait)
	}
	got := sub.awaitCount(publishers * count)
	for _, pub := range pubs {
		var want []message
		for i := range count {
			want = append(want, message{"T", text(pub, i), pub.id})
		}
		from := slices.DeleteFunc(slices.Clone(got), func(m message) bool { return !strings.HasPrefix(m.text, pub.id+":") })
		p.same(pub.id, from, want)
	}
}

func testSeveralSubscribers(p *place) {
	pub := p.publisher()
	if p.caps.Binds == driver.Subscribes {
		sub := p.subscriber([]string{"T"}, pub)
		pub.send("T", "before")
		sub.awaitText("T", "before")
		cfg := p.config(func(c *driver.Config) { c.AllTopics = true })
		if second, err := p.h.Driver.OpenSubscriber(p.ctx, cfg); err == nil {
			second.Close()
			p.Errorf("a second subscriber at %q was not refused", cfg.Socket)
		}
		pub.send("T", "after")
		sub.awaitText("T", "after")
		return
	}
	var subs []*subscriber
	for range 5 {
		subs = append(subs, p.subscriber([]string{"T"}, pub))
	}
	const count = 200
	var want []message
	for i := range count {
		want = append(want, message{"T", fmt.Sprint(i), pub.id})
	}
	pub.stream([]string{"T"}, count, func(i int) string { return fmt.Sprint(i) }, func(n int) {
		for _, sub := range subs {
			if p.caps.Lossy {
				sub.awaitCount(n)
			}
		}
	})
	for i, sub := range subs {
		p.same(fmt.Sprint("subscriber ", i), sub.awaitCount(count), want)
	}
}

func testFlush(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"T"}, pub)
	const count = 1000
	var want []message
	for i := range count {
		want = append(want, message{"T", fmt.Sprint(i), pub.id})
	}
	pub.stream([]string{"T"}, count, func(i int) string { return fmt.Sprint(i) }, func(n int) {
		if p.caps.Lossy {
			sub.awaitCount(n)
		}
	})
	pub.flush()
	if err := pub.Close(); err != nil {
		p.Errorf("Close: %v", err)
	}
	p.same("the subscriber", sub.awaitCount(count), want)
}

func testStatus(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"T"}, pub)
	for _, half := range []any{pub.Publisher, sub.Subscriber} {
		if s, ok := half.(driver.Statuser); ok {
			if got := s.Status(); got.Malformed != 0 || got.Refused != 0 || got.Lost != 0 {
				p.Errorf("%T: status of an untroubled half: %+v", half, got)
			}
		}
	}
	before := counted(pub.Publisher)
	for range 5 {
		pub.send("T", "12345")
	}
	sub.awaitCount(5)
	for half, before := range map[any]driver.Status{pub.Publisher: before, sub.Subscriber: {}} {
		s, ok := half.(driver.Statuser)
		if !ok {
			continue
		}
		got := s.Status()
		if got.Messages < before.Messages+5 || got.Bytes < before.Bytes+25 {
			p.Errorf("%T: after 5 messages of 5 bytes: %+v, before: %+v", half, got, before)
		}
	}
}

func counted(half any) driver.Status {
	if s, ok := half.(driver.Statuser); ok {
		return s.Status()
	}
	return driver.Status{}
}

func testCapabilities(p *place) {
	if again := p.h.Driver.Capabilities(); again != p.caps {
		p.Errorf("first %+v, then %+v", p.caps, again)
	}
	if p.caps.Name == "" {
		p.Errorf("the driver has no name")
	}
	if p.caps.MaxPayload < 0 {
		p.Errorf("MaxPayload is %d", p.caps.MaxPayload)
	}
	pub, sub := p.publisher(), p.idle(nil)
	if _, ok := pub.Publisher.(driver.Bound); !ok && p.caps.Binds&driver.Publishes != 0 {
		p.Errorf("publishers bind, but %T is no driver.Bound", pub.Publisher)
	}
	if _, ok := sub.Subscriber.(driver.Connector); !ok && p.caps.Binds&driver.Publishes != 0 {
		p.Errorf("publishers bind, but %T is no driver.Connector", sub.Subscriber)
	}
	if _, ok := sub.Subscriber.(driver.Drainer); ok && p.caps.Binds&driver.Subscribes == 0 {
		p.Errorf("subscribers don't bind, but %T is a driver.Drainer", sub.Subscriber)
	}
}

func testDrain(p *place) {
	pub := p.publisher()
	sub := p.idle([]string{"T"})
	d, ok := sub.Subscriber.(driver.Drainer)
	if !ok {
		if p.caps.Binds&driver.Subscribes != 0 {
			p.Errorf("subscribers bind, but %T is no driver.Drainer", sub.Subscriber)
		}
		return // adapted: drains have no meaning where the publisher binds
	}
	sub.meet(pub)
	var want []message
	for i := range window {
		pub.send("T", fmt.Sprint(i))
		want = append(want, message{"T", fmt.Sprint(i), pub.id})
	}
	pub.flush()
	d.Drain()
	sub.start()
	p.ends("Receive after Drain", sub.ended)
	if !isEOF(sub.err) {
		p.Errorf("Receive after Drain ended with %v, want io.EOF", sub.err)
	}
	p.same("the drained subscriber", sub.messages(), want)
}
