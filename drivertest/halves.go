package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// publisher is a driver.Publisher under test.
type publisher struct {
	driver.Publisher
	p  *place
	id string
}

// config returns the configuration for one half.
func (p *place) config(edit ...func(*driver.Config)) driver.Config {
	cfg := p.cfg
	for _, f := range edit {
		f(&cfg)
	}
	return cfg.WithDefaults()
}

// publisher opens a sending half, to be closed with the case.
func (p *place) publisher(edit ...func(*driver.Config)) *publisher {
	p.Helper()
	p.publishers++
	cfg := p.config(edit...)
	cfg.ID, cfg.Epoch = fmt.Sprintf("publisher-%d", p.publishers), uint64(p.publishers)
	half, err := p.h.Driver.OpenPublisher(p.ctx, cfg)
	if err != nil {
		p.Fatalf("open publisher: %v", err)
	}
	p.Cleanup(func() { p.closes("Close of a publisher", half.Close) })
	return &publisher{half, p, cfg.ID}
}

// send publishes texts on a topic, in one batch.
func (pub *publisher) send(topic string, texts ...string) {
	pub.p.Helper()
	msgs := make([]driver.Message, len(texts))
	for i, text := range texts {
		msgs[i] = driver.Message{Topic: []byte(topic), Payload: []byte(text)}
	}
	pub.sendMessages(msgs...)
}

func (pub *publisher) sendMessages(msgs ...driver.Message) {
	pub.p.Helper()
	if n, err := pub.Publish(pub.p.ctx, msgs); n != len(msgs) || err != nil {
		pub.p.Fatalf("Publish of %d messages: %d, %v", len(msgs), n, err)
	}
}

// flush flushes.
func (pub *publisher) flush() {
	pub.p.Helper()
	if err := pub.Flush(pub.p.ctx); err != nil {
		pub.p.Fatalf("Flush: %v", err)
	}
}

// message is one that was received.
type message struct{ topic, text, publisher string }

// subscriber is a driver.Subscriber under test. Once started, a goroutine
// receives and keeps everything.
type subscriber struct {
	driver.Subscriber
	p *place

	mu      sync.Mutex
	got     []message
	err     error // why it ended
	changed chan struct{}
	stop    context.CancelFunc
	ended   chan struct{}
}

// idle opens a receiving half, to be closed with the case, which nobody
// receives from yet. Where the driver doesn't filter it takes every topic.
func (p *place) idle(topics []string, edit ...func(*driver.Config)) *subscriber {
	p.Helper()
	cfg := p.config(edit...)
	cfg.AllTopics = cfg.AllTopics || !p.caps.Filters
	half, err := p.h.Driver.OpenSubscriber(p.ctx, cfg)
	if err != nil {
		p.Fatalf("open subscriber: %v", err)
	}
	s := &subscriber{Subscriber: half, p: p, changed: make(chan struct{}, 1)}
	p.Cleanup(func() {
		s.halt() // first: what it reads is the driver's until Close
		p.closes("Close of a subscriber", half.Close)
	})
	if len(topics) > 0 {
		s.subscribe(topics...)
	}
	return s
}

// subscriber is idle, started, and connected to publishers.
func (p *place) subscriber(topics []string, pubs ...*publisher) *subscriber {
	p.Helper()
	s := p.idle(topics)
	s.start()
	s.meet(pubs...)
	return s
}

func (s *subscriber) subscribe(topics ...string) {
	s.p.Helper()
	if err := s.Subscribe(s.p.ctx, topics...); err != nil {
		s.p.Fatalf("Subscribe(%q): %v", topics, err)
	}
}

func (s *subscriber) unsubscribe(topics ...string) {
	s.p.Helper()
	if err := s.Unsubscribe(s.p.ctx, topics...); err != nil {
		s.p.Fatalf("Unsubscribe(%q): %v", topics, err)
	}
}

// start begins to receive.
func (s *subscriber) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.ended, s.err = cancel, make(chan struct{}), nil
	go func() {
		defer close(s.ended)
		batch := make([]driver.Message, 64)
		for {
			n, err := s.Receive(ctx, batch)
			s.mu.Lock()
			for _, m := range batch[:n] {
				if m.Notice == driver.NoNotice {
					s.got = append(s.got, keep(m))
				}
			}
			s.err = err
			s.mu.Unlock()
			select {
			case s.changed <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
}

// halt stops receiving, but does not close.
func (s *subscriber) halt() {
	if s.stop == nil {
		return
	}
	s.stop()
	select {
	case <-s.ended:
	case <-time.After(s.p.h.Timeout):
		s.p.Errorf("Receive did not return when its context was cancelled")
	}
	s.stop = nil
}

func keep(m driver.Message) message {
	k := message{topic: string(m.Topic), text: string(m.Payload)}
	if m.Source != nil {
		k.publisher = m.Source.Publisher
	}
	return k
}

// messages returns what was received so far, without probes.
func (s *subscriber) messages() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.got), func(m message) bool { return isProbe(m.topic) })
}

// await blocks until what was received fulfils a condition, and returns it.
func (s *subscriber) await(what string, enough func([]message) bool) []message {
	s.p.Helper()
	for {
		got := s.messages()
		if enough(got) {
			return got
		}
		s.mu.Lock()
		err := s.err
		s.mu.Unlock()
		if err != nil {
			s.p.Fatalf("waiting for %s: Receive: %v; %s", what, err, describe(got))
		}
		select {
		case <-s.changed:
		case <-s.p.ctx.Done():
			s.p.Fatalf("waited in vain for %s; %s", what, describe(got))
		}
	}
}

// awaitText blocks until a text has arrived on a topic, and returns everything.
func (s *subscriber) awaitText(topic, text string) []message {
	s.p.Helper()
	return s.await(fmt.Sprintf("%.40q on %.40q", text, topic), func(got []message) bool {
		return slices.ContainsFunc(got, func(m message) bool { return m.topic == topic && m.text == text })
	})
}

// awaitCount blocks until n messages have arrived, and returns them.
func (s *subscriber) awaitCount(n int) []message {
	s.p.Helper()
	return s.await(fmt.Sprintf("%d messages", n), func(got []message) bool { return len(got) >= n })
}

func describe(got []message) string {
	if len(got) == 0 {
		return "nothing was received"
	}
	last := got[len(got)-1]
	return fmt.Sprintf("%d messages were received, the last %.40q on %.40q", len(got), last.text, last.topic)
}

// probePrefix begins the topics of messages that only find out whether a
// connection stands, and whether what was subscribed to before is in force: a new
// topic each time.
const probePrefix = "drivertest-probe-"

func isProbe(topic string) bool { return strings.HasPrefix(topic, probePrefix) }

// meet connects the subscriber to publishers and blocks until whatever they
// publish now is received. Where the driver can't tell when that is so, each
// publisher sends until something arrives.
func (s *subscriber) meet(pubs ...*publisher) {
	s.p.Helper()
	for _, pub := range pubs {
		s.connect(pub)
	}
	switch a, ok := s.Subscriber.(driver.Awaiter); {
	case ok:
		if err := a.Await(s.p.ctx); err != nil {
			s.p.Fatalf("Await: %v", err)
		}
	case !s.p.caps.Filters && s.p.caps.Binds == driver.Subscribes:
		// What is published before the publisher has connected is queued.
	case s.p.caps.Confirms && s.p.caps.Binds == 0:
		// Subscribe has waited.
	default:
		s.probe(pubs...)
	}
}

// connect adds a publisher, where publishers are reached one by one.
func (s *subscriber) connect(pub *publisher) {
	s.p.Helper()
	if c, ok := s.Subscriber.(driver.Connector); ok {
		if err := c.Connect(s.p.h.URI(pub.Publisher)); err != nil {
			s.p.Fatalf("Connect(%s): %v", s.p.h.URI(pub.Publisher), err)
		}
	}
}

// probe has each publisher publish until the subscriber receives it. What is on
// its way is left to the topic's end.
func (s *subscriber) probe(pubs ...*publisher) {
	s.p.Helper()
	for _, pub := range pubs {
		s.p.probes++
		topic := fmt.Sprint(probePrefix, s.p.probes)
		s.subscribe(topic)
		for wait := time.Millisecond; !s.probed(topic); wait = min(2*wait, 100*time.Millisecond) {
			pub.send(topic, "probe")
			select {
			case <-s.changed:
			case <-time.After(wait):
			case <-s.p.ctx.Done():
				s.p.Fatalf("nothing that %s publishes is received", pub.id)
			}
		}
	}
}

func (s *subscriber) probed(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.got, func(m message) bool { return m.topic == topic })
}

// window is how many messages may be on their way to a subscriber of a driver
// that loses some when there are too many.
const window = 16

// stream publishes count texts on topics in turn, batch by batch, and calls
// sent after each batch with how many were sent. Lossy drivers get a window at a
// time.
func (pub *publisher) stream(topics []string, count int, text func(i int) string, sent func(n int)) {
	pub.p.Helper()
	for i, size := 0, 1; i < count; size = size%37 + 1 {
		if pub.p.caps.Lossy {
			size = min(size, window)
		}
		size = min(size, count-i)
		msgs := make([]driver.Message, size)
		for k := range msgs {
			msgs[k] = driver.Message{Topic: []byte(topics[(i+k)%len(topics)]), Payload: []byte(text(i + k))}
		}
		pub.sendMessages(msgs...)
		i += size
		if sent != nil {
			sent(i)
		}
	}
}

// same reports how two lists of messages differ. Where the driver doesn't
// order, order doesn't count.
func (p *place) same(who string, got, want []message) {
	p.Helper()
	if !p.caps.Identifies {
		got = slices.Clone(got)
		for i := range got {
			got[i].publisher = ""
		}
		want = slices.Clone(want)
		for i := range want {
			want[i].publisher = ""
		}
	}
	switch {
	case p.caps.Ordered:
	case p.caps.OrderedByTopic:
		got, want = byTopic(got), byTopic(want)
	default:
		got, want = sorted(got), sorted(want)
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			p.Fatalf("%s: %d messages, want %d: first without %.60q", who, len(got), len(want), want[i])
		case i >= len(want):
			p.Fatalf("%s: %d messages, want %d: first too many %.60q", who, len(got), len(want), got[i])
		case got[i] != want[i]:
			p.Fatalf("%s: message %d: got %.60q, want %.60q", who, i, got[i], want[i])
		}
	}
}

// byTopic puts messages in the order of their topics; those of each stay as they
// were.
func byTopic(list []message) []message {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b message) int { return strings.Compare(a.topic, b.topic) })
	return list
}

func sorted(list []message) []message {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b message) int {
		return bytes.Compare([]byte(a.topic+"\x00"+a.text), []byte(b.topic+"\x00"+b.text))
	})
	return list
}

// finish runs f in a goroutine and waits for it, but not past the end of the
// case.
func (p *place) finish(what string, f func()) {
	p.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	p.ends(what, done)
}

// ends waits for a channel to be closed.
func (p *place) ends(what string, done <-chan struct{}) {
	p.Helper()
	select {
	case <-done:
	case <-p.ctx.Done():
		p.Fatalf("%s did not return", what)
	}
}

// closes closes something when the case is over. It does not hang if that does.
func (p *place) closes(what string, close func() error) {
	p.Helper()
	done := make(chan struct{}, 1)
	go func() {
		close()
		done <- struct{}{}
	}()
	select {
	case <-done:
	case <-time.After(p.h.Timeout):
		p.Errorf("%s did not return", what)
	}
}

// wantClosed reports an error that should be ErrClosed.
func (p *place) wantClosed(what string, err error) {
	p.Helper()
	if !errors.Is(err, driver.ErrClosed) {
		p.Errorf("%s: error %v, want %v", what, err, driver.ErrClosed)
	}
}
