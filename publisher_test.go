package wyvern

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
)

func TestPublish(t *testing.T) {
	half := &fakePublisher{}
	var cfg driver.Config
	p := openFakePublisher(t, half, func(o *PublisherOptions) {
		o.ID, o.Epoch = "server-1", 77
		o.Driver = fakeDriver{pub: half, cfg: &cfg}
	})
	if p.ID() != "server-1" || p.Epoch() != 77 || cfg.ID != "server-1" || cfg.Epoch != 77 {
		t.Errorf("publisher %s %d, driver %s %d", p.ID(), p.Epoch(), cfg.ID, cfg.Epoch)
	}
	if p.Addr() != nil {
		t.Errorf("address %v", p.Addr())
	}
	events := []Event{
		{Table: "t", Key: "1", Action: ActionSet, Topic: "a", Version: 5, Epoch: 1, Seq: 99, Publisher: "forged"},
		{Table: "t", Key: "2", Action: ActionSet, Topic: "b"},
		{Table: "t", Key: "3", Action: ActionSet, Topic: "a"},
		{Action: ActionSync, Topic: TopicAll},
	}
	for _, e := range events {
		if err := p.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []sent{
		{"a", envelope.Fields{Table: "t", Key: "1", Action: "set", Topic: "a", Null: envelope.Value, Epoch: 77, Seq: 1, Version: 5, HasVersion: true}},
		{"b", envelope.Fields{Table: "t", Key: "2", Action: "set", Topic: "b", Null: envelope.Value, Epoch: 77, Seq: 1}},
		{"a", envelope.Fields{Table: "t", Key: "3", Action: "set", Topic: "a", Null: envelope.Value, Epoch: 77, Seq: 2}},
		{"D", envelope.Fields{Action: "sync", Null: envelope.Table | envelope.Key | envelope.Value | envelope.Topic, Epoch: 77, Seq: 1}},
	} {
		if got := half.all()[i]; got != want {
			t.Errorf("event %d:\n got %+v\nwant %+v", i, got, want)
		}
	}
	if got := p.Status(); got.Messages != 4 || got.Bytes == 0 {
		t.Errorf("status %+v", got)
	}
}

func TestIdentity(t *testing.T) {
	one, two := openFakePublisher(t, &fakePublisher{}), openFakePublisher(t, &fakePublisher{})
	if len(one.ID()) != 36 || one.ID() == two.ID() || one.Epoch() == 0 || one.Epoch() == two.Epoch() {
		t.Errorf("%s %x, %s %x", one.ID(), one.Epoch(), two.ID(), two.Epoch())
	}
}

func TestPublishInvalid(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Config.MaxPayload = 1000 })
	for _, c := range []struct {
		name string
		e    Event
		want error
	}{
		{"no topic", Event{Action: "set"}, ErrInvalidEvent},
		{"long topic", Event{Action: "set", Topic: strings.Repeat("x", 256)}, ErrInvalidEvent},
		{"bad topic", Event{Action: "set", Topic: "\xff"}, ErrInvalidEvent},
		{"no action", Event{Topic: "T"}, ErrInvalidEvent},
		{"bad table", Event{Action: "set", Topic: "T", Table: "\xff"}, ErrInvalidEvent},
		{"bad key", Event{Action: "set", Topic: "T", Key: "\xff"}, ErrInvalidEvent},
		{"bad value", Event{Action: "set", Topic: "T", Value: "\xff"}, ErrInvalidEvent},
		{"bad action", Event{Action: "\xff", Topic: "T"}, ErrInvalidEvent},
		{"large", Event{Action: "set", Topic: "T", Value: strings.Repeat("x", 1001)}, ErrTooLarge},
		{"large with its keys", Event{Action: "set", Topic: "T", Value: strings.Repeat("x", 980)}, ErrTooLarge},
	} {
		err := p.Publish(t.Context(), c.e)
		e, ok := errors.AsType[*Error](err)
		if !errors.Is(err, c.want) || !ok || e.Topic != c.e.Topic || e.Op != "publish" || e.Driver != "fake" {
			t.Errorf("%s: %v", c.name, err)
		}
		if n, err := p.PublishBatch(t.Context(), []Event{c.e}); n != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s in a batch: %d, %v", c.name, n, err)
		}
	}
	if err := p.Publish(t.Context(), Event{Action: "set", Topic: "T"}); err != nil {
		t.Fatal(err)
	}
	if got := half.all(); len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("got %+v: refused events took numbers, or were sent", got)
	}
}

// The driver's own limit counts as well.
func TestDriverLimit(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half, func(o *PublisherOptions) {
		o.Driver = fakeDriver{pub: half, caps: driver.Capabilities{Name: "fake", Liveness: true, MaxPayload: 500}}
	})
	if err := p.Publish(t.Context(), Event{Action: "set", Topic: "T", Value: strings.Repeat("x", 500)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// A number is consumed only when the driver accepted.
func TestNumbersAfterRefusal(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half)
	refusal := errors.New("no")
	limit := 0
	half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
		if len(msgs) > limit {
			return limit, refusal
		}
		return len(msgs), nil
	}
	e := func(topic string) Event { return Event{Action: "set", Topic: topic} }
	if err := p.Publish(t.Context(), e("a")); !errors.Is(err, refusal) {
		t.Errorf("error %v", err)
	}
	limit = 3
	batch := []Event{e("a"), e("a"), e("b"), e("a"), e("b")}
	n, err := p.PublishBatch(t.Context(), batch)
	if n != 3 || !errors.Is(err, refusal) {
		t.Errorf("batch: %d, %v", n, err)
	}
	limit = 10
	if n, err := p.PublishBatch(t.Context(), batch[n:]); n != 2 || err != nil {
		t.Errorf("rest: %d, %v", n, err)
	}
	if a, b := half.seqs("a"), half.seqs("b"); !slices.Equal(a, []uint64{1, 2, 3}) || !slices.Equal(b, []uint64{1, 2}) {
		t.Errorf("numbers %v and %v", a, b)
	}
}

// What may have been sent keeps its number: it would be taken for what has the
// number next.
func TestNumbersWhenUnsure(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half)
	half.accept = func(context.Context, []driver.Message) (int, error) {
		return 1, fmt.Errorf("%w: %w", driver.ErrUnsure, context.DeadlineExceeded)
	}
	e := Event{Action: "set", Topic: "a"}
	n, err := p.PublishBatch(t.Context(), []Event{e, e, e})
	if n != 1 || !errors.Is(err, ErrUnsure) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("batch: %d, %v", n, err)
	}
	half.accept = nil
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got := half.seqs("a"); !slices.Equal(got, []uint64{1, 4}) {
		t.Errorf("numbers %v, want 1 and 4", got)
	}
}

// A batch with something invalid in it is sent up to that.
func TestBatch(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half)
	var batch []Event
	for i := range 2*maxBatch + 10 {
		batch = append(batch, Event{Action: "set", Topic: "T", Key: fmt.Sprint(i)})
	}
	batch[maxBatch+5].Topic = ""
	n, err := p.PublishBatch(t.Context(), batch)
	if n != maxBatch+5 || !errors.Is(err, ErrInvalidEvent) {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := p.PublishBatch(t.Context(), batch[n+1:]); n != len(batch)-maxBatch-6 || err != nil {
		t.Errorf("rest: %d, %v", n, err)
	}
	if n, err := p.PublishBatch(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	for i, seq := range half.seqs("T") {
		if seq != uint64(i+1) {
			t.Fatalf("event %d has number %d", i, seq)
		}
	}
	if got := len(half.all()); got != len(batch)-1 {
		t.Errorf("%d events, want %d", got, len(batch)-1)
	}
}

// Large events make small batches, and scratch isn't kept.
func TestBatchOfLarge(t *testing.T) {
	half := &fakePublisher{}
	largest := 0
	half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
		largest = max(largest, len(msgs))
		return len(msgs), nil
	}
	p := openFakePublisher(t, half)
	batch := slices.Repeat([]Event{{Action: "set", Topic: "T", Value: strings.Repeat("x", 400<<10)}}, 20)
	if n, err := p.PublishBatch(t.Context(), batch); n != 20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if largest > 3 || cap(p.scratch) > 4*batchBytes {
		t.Errorf("%d events at once, %d bytes kept", largest, cap(p.scratch))
	}
}

// A driver that breaks its contract doesn't break the numbers.
func TestShortWithoutError(t *testing.T) {
	half := &fakePublisher{accept: func(context.Context, []driver.Message) (int, error) { return 0, nil }}
	p := openFakePublisher(t, half)
	if err := p.Publish(t.Context(), Event{Action: "set", Topic: "T"}); err == nil {
		t.Error("no error")
	}
}

// blockedPublisher blocks in Publish until ctx ends or it is closed.
type blockedPublisher struct {
	fakePublisher
	entered chan struct{}
	closing chan struct{}
	once    sync.Once
}

func newBlockedPublisher() *blockedPublisher {
	b := &blockedPublisher{entered: make(chan struct{}, 10), closing: make(chan struct{})}
	b.accept = func(ctx context.Context, _ []driver.Message) (int, error) {
		b.entered <- struct{}{}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-b.closing:
			return 0, driver.ErrClosed
		}
	}
	return b
}

func (b *blockedPublisher) Close() error {
	b.once.Do(func() { close(b.closing) })
	return nil
}

func TestBlocked(t *testing.T) {
	half := newBlockedPublisher()
	p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	e := Event{Action: "set", Topic: "T"}
	first := make(chan error, 1)
	go func() { first <- p.Publish(t.Context(), e) }()
	<-half.entered

	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- p.Publish(ctx, e) }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("behind a blocked Publish: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown behind a blocked Publish: %v", err)
	}
	if err := <-first; !errors.Is(err, ErrClosed) {
		t.Errorf("the blocked Publish: %v", err)
	}
}

func TestShutdownPublisher(t *testing.T) {
	trouble := errors.New("a peer is stuck")
	for _, flush := range []error{nil, trouble} {
		half := &fakePublisher{flush: flush}
		p := openFakePublisher(t, half)
		if err := p.Shutdown(t.Context()); !errors.Is(err, flush) {
			t.Errorf("Shutdown: %v, want %v", err, flush)
		}
		if half.flushed != 1 || half.closed != 1 {
			t.Errorf("flushed %d times, closed %d times", half.flushed, half.closed)
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown again: %v", err)
		}
		if half.flushed != 1 || half.closed != 1 {
			t.Errorf("flushed %d times, closed %d times", half.flushed, half.closed)
		}
		if err := p.Publish(t.Context(), Event{Action: "set", Topic: "T"}); !errors.Is(err, ErrClosed) || !errors.Is(err, driver.ErrClosed) {
			t.Errorf("Publish: %v", err)
		}
	}
}

// A second Shutdown doesn't cut the first one's flush short.
func TestShutdownTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := &slowFlush{gate: make(chan struct{})}
		p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- p.Shutdown(t.Context()) }()
		}
		synctest.Wait()
		if half.closed != 0 {
			t.Error("closed during the flush")
		}
		close(half.gate)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if half.flushed != 1 || half.closed != 1 {
			t.Errorf("flushed %d times, closed %d times", half.flushed, half.closed)
		}
	})
}

// slowFlush flushes when its gate is open.
type slowFlush struct {
	fakePublisher
	gate chan struct{}
}

func (p *slowFlush) Flush(ctx context.Context) error {
	<-p.gate
	return p.fakePublisher.Flush(ctx)
}

// The key of the table doesn't keep what the caller's topic was cut from.
func TestTopicsAreCopied(t *testing.T) {
	p := openFakePublisher(t, &fakePublisher{})
	buf := []byte("a topic")
	if _, _, bad, err := p.forward(t.Context(), []driver.Message{{Topic: buf, Payload: body(Event{Action: "set"})}}); bad != nil || err != nil {
		t.Fatal(bad, err)
	}
	copy(buf, "another")
	if p.book.Find("a topic") == nil {
		t.Error("the topic is not known any more")
	}
}

// portEvent encodes to about 205 bytes.
func portEvent() Event {
	return Event{
		Table: "lport", Key: "0b1f6d4e-2a57-4d4f-9a43-51a0b6b1f0aa", Action: ActionSet,
		Value: `{"id": "0b1f6d4e", "ips": ["10.0.0.6"]}`, Topic: "4f2e0f1bd1c64bd1a9b2f1d6b6a7c001", Version: 70000,
	}
}

func TestPublishAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := openFakePublisher(t, &fakePublisher{discard: true})
	ctx, e := t.Context(), portEvent()
	if n := testing.AllocsPerRun(100, func() { p.Publish(ctx, e) }); n != 0 {
		t.Errorf("Publish: %v allocations", n)
	}
	batch := slices.Repeat([]Event{e}, 100)
	if n := testing.AllocsPerRun(100, func() { p.PublishBatch(ctx, batch) }); n != 0 {
		t.Errorf("PublishBatch: %v allocations", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	p := openFakePublisher(b, &fakePublisher{discard: true})
	e, ctx := portEvent(), b.Context()
	b.SetBytes(int64(len(body(e))))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Publish(ctx, e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublishBatch(b *testing.B) {
	p := openFakePublisher(b, &fakePublisher{discard: true})
	e, ctx := portEvent(), b.Context()
	batch := slices.Repeat([]Event{e}, maxBatch)
	b.SetBytes(int64(len(body(e))))
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(batch) {
		if _, err := p.PublishBatch(ctx, batch[:min(len(batch), b.N-n)]); err != nil {
			b.Fatal(err)
		}
	}
}
