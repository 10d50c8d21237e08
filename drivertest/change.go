package drivertest

import (
	"fmt"
	"slices"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var changeCases = []testCase{
	{"Topics", "topics come and go while messages flow: what is published while a topic is held arrives, and other topics don't notice", testTopics},
	{"Addresses", "publishers come and go while messages flow: those that stay don't notice, and one that returns is heard again, once", testAddresses},
	{"Confirmed", "what is published straight after a subscription was confirmed arrives", testConfirmed},
	{"ManyTopics", "a subscriber can hold many topics and drop them again", testManyTopics},
}

func testTopics(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"kept"}, pub)
	n := 0
	publish := func() (texts []string) {
		for range 5 {
			n++
			texts = append(texts, fmt.Sprint(n))
			pub.send("moving", fmt.Sprint(n))
			pub.send("kept", fmt.Sprint(n))
		}
		sub.awaitText("kept", fmt.Sprint(n))
		return texts
	}
	var must []string // those of moving that were published while it was held
	for range 10 {
		sub.subscribe("moving")
		sub.meet(pub)
		held := publish()
		must = append(must, held...)
		sub.awaitText("moving", held[len(held)-1])
		sub.unsubscribe("moving")
		publish()
	}
	var kept, moving []message
	for _, m := range sub.messages() {
		if m.topic == "kept" {
			kept = append(kept, m)
		} else {
			moving = append(moving, m)
		}
	}
	var want []message
	for i := range n {
		want = append(want, message{"kept", fmt.Sprint(i + 1), pub.id})
	}
	p.same("the topic that stayed", kept, want)
	// What was published after an Unsubscribe may still arrive, but once.
	seen := make(map[string]int)
	for _, m := range moving {
		seen[m.text]++
		if seen[m.text] > 1 {
			p.Errorf("%s on the topic that came and went arrived %d times", m.text, seen[m.text])
		}
	}
	for _, text := range must {
		if seen[text] == 0 {
			p.Errorf("%s did not arrive, though the topic was held", text)
		}
	}
}

func testAddresses(p *place) {
	stays, moves := p.publisher(), p.publisher()
	sub := p.subscriber([]string{"T"}, stays)
	n := 0
	both := func(moves *publisher) {
		n++
		stays.send("T", fmt.Sprint("stays ", n))
		sub.awaitText("T", fmt.Sprint("stays ", n))
		if moves != nil {
			moves.send("T", fmt.Sprint("moves ", n))
			sub.awaitText("T", fmt.Sprint("moves ", n))
		}
	}
	c, ok := sub.Subscriber.(driver.Connector)
	if ok {
		for range 4 {
			both(nil)
			sub.connect(moves)
			sub.connect(moves) // no error, and no second delivery
			sub.meet(stays, moves)
			both(moves)
			both(moves)
			if err := c.Disconnect(p.h.URI(moves.Publisher)); err != nil {
				p.Fatalf("Disconnect: %v", err)
			}
		}
		if err := c.Connect("no such scheme"); err == nil {
			p.Errorf("a URI that makes no sense was taken")
		}
	} else {
		// Adapted: the publishers themselves come and go.
		for range 4 {
			both(nil)
			sub.meet(stays, moves)
			both(moves)
			both(moves)
			moves.flush()
			moves.Close()
			moves = p.publisher()
		}
	}
	both(nil)
	got := sub.messages()
	slices.SortFunc(got, func(a, b message) int { return compare(a.text, b.text) })
	for i := 1; i < len(got); i++ {
		if got[i].text == got[i-1].text {
			p.Errorf("%q arrived twice", got[i].text)
		}
	}
}

func testConfirmed(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"first"}, pub)
	for i := range 100 {
		topic := fmt.Sprint("topic ", i)
		sub.subscribe(topic)
		if !p.caps.Confirms {
			sub.meet(pub) // adapted: by Await, or by probing
		}
		pub.send(topic, "at once")
		sub.awaitText(topic, "at once")
	}
	if a, ok := sub.Subscriber.(driver.Awaiter); ok {
		for i := range 20 {
			other := p.publisher()
			sub.connect(other)
			if err := a.Await(p.ctx); err != nil {
				p.Fatalf("Await: %v", err)
			}
			text := fmt.Sprint("at once, publisher ", i)
			other.send("first", text)
			sub.awaitText("first", text)
		}
	}
}

func testManyTopics(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"first"}, pub)
	var topics []string
	for i := range 2000 {
		topics = append(topics, fmt.Sprintf("topic-%d", i))
	}
	sub.subscribe(topics...)
	sub.subscribe(topics[:10]...) // again: no error
	sub.meet(pub)
	for i := 0; i < len(topics); i += 97 {
		pub.send(topics[i], "held")
		sub.awaitText(topics[i], "held")
	}
	sub.unsubscribe(topics...)
	sub.unsubscribe(topics[:10]...)
	pub.send("first", "end")
	sub.awaitText("first", "end")
}
