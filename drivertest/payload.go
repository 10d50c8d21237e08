package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var payloadCases = []testCase{
	{"Sizes", "payloads from 1 byte to 1 MiB, and topics from 1 to 255 bytes of UTF-8, arrive byte for byte", testSizes},
	{"TooLarge", "a payload past the limit is refused with ErrTooLarge; the messages before it are accepted, and the publisher goes on", testTooLarge},
	{"CallersBytes", "the caller owns the messages and their bytes again when Publish has returned", testCallersBytes},
	{"ReceiversBytes", "what Receive returned stays valid until the next Receive", testReceiversBytes},
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func compare(a, b string) int { return strings.Compare(a, b) }

func testSizes(p *place) {
	topics := []string{"t", strings.Repeat("x", 255), "Straße/世界 #*>.$", "with space", "a.b.c", "a*", "a>"}
	largest := 1 << 20
	if p.caps.MaxPayload > 0 {
		largest = min(largest, p.caps.MaxPayload)
	}
	pub := p.publisher()
	sub := p.subscriber(topics, pub)
	random := rand.New(rand.NewPCG(1, 2))
	for i, size := range []int{1, 2, 255, 256, 257, 8191, 65535, 65536, 65537, 300000, largest} {
		if size > largest {
			continue
		}
		body := make([]byte, size)
		for k := range body {
			body[k] = byte(random.Uint32())
		}
		topic := topics[i%len(topics)]
		pub.send(topic, string(body))
		got := sub.awaitCount(i + 1)[i]
		if got.topic != topic || got.text != string(body) {
			p.Errorf("%d bytes on %.40q arrived as %d bytes on %.40q, equal: %v", size, topic, len(got.text), got.topic, got.text == string(body))
		}
	}
}

func testTooLarge(p *place) {
	const limit = 10000
	pub := p.publisher(func(c *driver.Config) { c.MaxPayload = limit })
	sub := p.subscriber([]string{"T"}, pub)
	message := func(size int) driver.Message {
		return driver.Message{Topic: []byte("T"), Payload: bytes.Repeat([]byte{'x'}, size)}
	}
	for range 3 {
		n, err := pub.Publish(p.ctx, []driver.Message{message(limit), message(limit + 1), message(1)})
		if n != 1 || !errors.Is(err, driver.ErrTooLarge) {
			p.Errorf("Publish of %d, %d and 1 bytes: %d, %v; want 1, %v", limit, limit+1, n, err, driver.ErrTooLarge)
		}
	}
	pub.send("T", "end")
	got := sub.awaitText("T", "end")
	if len(got) != 4 {
		p.Errorf("%d messages arrived, want the 3 of %d bytes and the last", len(got), limit)
	}
}

func testCallersBytes(p *place) {
	pub := p.publisher()
	sub := p.subscriber([]string{"T"}, pub)
	const count = 500
	msgs := make([]driver.Message, 5)
	var want []message
	for i := 0; i < count; i += len(msgs) {
		for k := range msgs {
			text := fmt.Sprintf("message %d %s", i+k, strings.Repeat("z", 50))
			msgs[k] = driver.Message{Topic: []byte("T"), Payload: []byte(text)}
			want = append(want, message{"T", text, pub.id})
		}
		kept := append([]driver.Message(nil), msgs...)
		pub.sendMessages(msgs...)
		for k := range kept {
			copy(kept[k].Topic, "?")
			copy(kept[k].Payload, "the caller has written something else over it")
			msgs[k] = driver.Message{}
		}
		if p.caps.Lossy {
			sub.awaitCount(i + len(msgs))
		}
	}
	p.same("the subscriber", sub.awaitCount(count), want)
}

func testReceiversBytes(p *place) {
	pub := p.publisher()
	sub := p.idle([]string{"T"})
	sub.meetIdle(pub)
	var want []string
	got := 0
	send := func(text string) {
		pub.send("T", text)
		want = append(want, text)
	}
	batch := make([]driver.Message, 3)
	for round := range 20 {
		for i := range window / 2 {
			send(fmt.Sprintf("round %d, message %d", round, i))
		}
		for first := true; got < len(want); first = false {
			n := sub.receive(batch)
			before := make([]message, n)
			for i := range before {
				before[i] = keep(batch[i])
			}
			if first {
				// A reason for the driver to reuse bytes: more arrives.
				send(fmt.Sprintf("round %d, one more", round))
				pub.flush()
			}
			for i := range before {
				if now := keep(batch[i]); now != before[i] {
					p.Fatalf("%q became %q before the next Receive", before[i], now)
				}
				if p.caps.KeepsTopics() && before[i].text != want[got+i] {
					p.Fatalf("message %d: got %q, want %q", got+i, before[i].text, want[got+i])
				}
			}
			got += n
		}
	}
}

// receive is one Receive that must succeed, of messages that are no probes.
func (s *subscriber) receive(dst []driver.Message) int {
	s.p.Helper()
	for {
		n, err := s.Receive(s.p.ctx, dst)
		if err != nil || n <= 0 || n > len(dst) {
			s.p.Fatalf("Receive into %d: %d, %v", len(dst), n, err)
		}
		kept := 0
		for _, m := range dst[:n] {
			if !isProbe(string(m.Topic)) && m.Notice == driver.NoNotice {
				dst[kept] = m
				kept++
			}
		}
		if kept > 0 {
			return kept
		}
	}
}

// meetIdle is meet for a subscriber that nobody receives from. If it has to
// probe, it receives meanwhile.
func (s *subscriber) meetIdle(pubs ...*publisher) {
	s.p.Helper()
	s.start()
	s.meet(pubs...)
	s.halt()
}
