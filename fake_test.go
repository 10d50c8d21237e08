package wyvern

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
)

// fakeDriver hands out one fake half of each kind.
type fakeDriver struct {
	caps driver.Capabilities
	pub  driver.Publisher
	sub  driver.Subscriber
	err  error
	cfg  *driver.Config // receives what a half was opened with
}

func (d fakeDriver) Capabilities() driver.Capabilities {
	if d.caps.Name == "" {
		d.caps.Name, d.caps.Ordered, d.caps.Liveness = "fake", true, true
	}
	return d.caps
}

func (d fakeDriver) OpenPublisher(_ context.Context, cfg driver.Config) (driver.Publisher, error) {
	if d.cfg != nil {
		*d.cfg = cfg
	}
	return d.pub, d.err
}

func (d fakeDriver) OpenSubscriber(_ context.Context, cfg driver.Config) (driver.Subscriber, error) {
	if d.cfg != nil {
		*d.cfg = cfg
	}
	return d.sub, d.err
}

// sent is a message that a fakePublisher accepted, decoded.
type sent struct {
	topic string
	envelope.Fields
}

// fakePublisher accepts everything, or what accept says.
type fakePublisher struct {
	// accept, if not nil, is asked before each Publish.
	accept func(ctx context.Context, msgs []driver.Message) (n int, err error)
	// discard keeps nothing.
	discard bool

	mu      sync.Mutex
	got     []sent
	bodies  [][]byte
	flushed int
	closed  int
	flush   error
}

func (p *fakePublisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	n = len(msgs)
	if p.accept != nil {
		n, err = p.accept(ctx, msgs)
	}
	if p.discard {
		return n, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range msgs[:n] {
		s := sent{topic: string(m.Topic)}
		if err := envelope.Decode(m.Payload, &s.Fields); err != nil {
			panic(err)
		}
		p.got = append(p.got, s)
		p.bodies = append(p.bodies, bytes.Clone(m.Payload))
	}
	return n, err
}

func (p *fakePublisher) Flush(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushed++
	return p.flush
}

func (p *fakePublisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

func (p *fakePublisher) all() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// seqs are the numbers on a topic, in order of acceptance.
func (p *fakePublisher) seqs(topic string) (list []uint64) {
	for _, s := range p.all() {
		if s.topic == topic {
			list = append(list, s.Seq)
		}
	}
	return list
}

// fakeSubscriber returns what was put into it, as far as it lies there at
// once.
type fakeSubscriber struct {
	mu        sync.Mutex
	msgs      []driver.Message
	errs      []error // returned first
	few       int     // how many Receive returns at most; 0: all
	draining  bool
	closed    bool
	changed   chan struct{}
	calls     []string // Subscribe and Unsubscribe
	subscribe func(ctx context.Context) error
}

func newFakeSubscriber() *fakeSubscriber {
	return &fakeSubscriber{changed: make(chan struct{})}
}

func (s *fakeSubscriber) edit(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *fakeSubscriber) put(msgs ...driver.Message) {
	s.edit(func() { s.msgs = append(s.msgs, msgs...) })
}

func (s *fakeSubscriber) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if s.few > 0 {
			dst = dst[:s.few]
		}
		n := copy(dst, s.msgs)
		s.msgs = s.msgs[n:]
		var err error
		switch {
		case s.closed:
			n, err = 0, ErrClosed
		case n == 0 && len(s.errs) > 0:
			err = s.errs[0]
			s.errs = s.errs[1:]
		case n == 0 && s.draining:
			err = io.EOF
		}
		s.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (s *fakeSubscriber) Subscribe(ctx context.Context, topics ...string) error {
	if s.subscribe != nil {
		if err := s.subscribe(ctx); err != nil {
			return err
		}
	}
	s.edit(func() { s.calls = append(s.calls, "+"+strings.Join(topics, ",")) })
	return nil
}

func (s *fakeSubscriber) Unsubscribe(_ context.Context, topics ...string) error {
	s.edit(func() { s.calls = append(s.calls, "-"+strings.Join(topics, ",")) })
	return nil
}

func (s *fakeSubscriber) Close() error {
	s.edit(func() { s.closed = true })
	return nil
}

// drainer adds driver.Drainer.
type drainer struct{ *fakeSubscriber }

func (s drainer) Drain() { s.edit(func() { s.draining = true }) }

// logBook is a slog.Handler's output.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBook) lines(containing string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, containing) {
			list = append(list, line)
		}
	}
	return list
}

func (l *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// body is the encoding of an event that nobody numbered.
func body(e Event) []byte {
	var f envelope.Fields
	e.fields(&f)
	f.Epoch, f.Seq = e.Epoch, e.Seq
	return envelope.Append(nil, &f)
}

func message(topic string, e Event) driver.Message {
	e.Topic = topic
	return driver.Message{Topic: []byte(topic), Payload: body(e), Source: &driver.Source{Publisher: "p1", Address: "fake://p1"}}
}

func malformed(topic string) driver.Message {
	return driver.Message{Topic: []byte(topic), Payload: []byte("no map"), Source: &driver.Source{Publisher: "p1", Address: "fake://bad"}}
}

func setEvent(key string) Event {
	return Event{Table: "lport", Key: key, Action: ActionSet, Value: `{"id": "` + key + `"}`}
}

func openFakePublisher(t testing.TB, half *fakePublisher, edit ...func(*PublisherOptions)) *Publisher {
	t.Helper()
	o := PublisherOptions{Driver: fakeDriver{pub: half}}
	for _, f := range edit {
		f(&o)
	}
	p, err := OpenPublisher(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func openFakeSubscriber(t testing.TB, half driver.Subscriber, handler func(context.Context, Event) error, edit ...func(*SubscriberOptions)) *Subscriber {
	t.Helper()
	o := SubscriberOptions{Driver: fakeDriver{sub: half}, Handler: handler}
	for _, f := range edit {
		f(&o)
	}
	s, err := OpenSubscriber(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*lograte.Limiter{&s.malformedLog, &s.topicLog, &s.handlerLog, &s.receiveLog} {
		l.Burst = 1 // so that few messages show what is suppressed
	}
	t.Cleanup(func() { s.Close() })
	return s
}
