package wyvern

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/numbering"
)

const (
	// maxBatch is how many messages go to or come from a driver at once.
	maxBatch = 512
	// batchBytes is when a batch is large enough, whatever its count; one
	// message may go past it. It bounds scratch.
	batchBytes = 1 << 20
)

// Publisher numbers events and hands them to a driver.
//
// The events of a topic are numbered 1, 2, 3, ... in the order in which the
// driver accepted them. For that it remembers up to PublisherOptions.MaxTopics
// topics, with about 200 bytes of memory each. Past them it forgets those that
// were quiet for longest: when one of them is published to again, its numbers
// begin above all that were forgotten, so that whoever missed its last event sees
// a gap.
//
// On drivers that lose messages without a notice, or don't notice the end of a
// publisher, it also sends beacons, which say again what the last number of a quiet
// topic is, and beats, which say that it lives. They reach no handler.
//
// All methods may be called by any number of goroutines.
type Publisher struct {
	half  driver.Publisher
	name  string // of the driver
	id    string
	epoch uint64
	limit int // bytes of one encoded event
	log   *slog.Logger

	messages, bytes atomic.Uint64

	closing chan struct{} // closed when Shutdown or Close began
	ended   chan struct{} // closed when Shutdown took the lock, for good
	closed  chan struct{} // closed when the half is
	refuse  func()        // closes closing, once
	close   func() error  // closes the half, once

	// lock holds a value while somebody numbers events and hands them over:
	// both in one, because the order of numbers is the order of acceptance. It
	// is not a mutex because a driver may block for as long as its queue is
	// full, and who waits behind that must be able to give up. It guards what
	// follows.
	lock    chan struct{}
	book    *numbering.Book
	batch   []driver.Message
	owners  []*numbering.Series // of the batch's messages
	scratch []byte              // the batch's bytes

	beacons bool
	beacon  beacon
}

func newPublisher(half driver.Publisher, name string, hop driver.Hop, caps driver.Capabilities, cfg driver.Config, limit, maxTopics int, fresh bool, left *handover) (*Publisher, error) {
	// A service numbers anew what comes from its workers, and takes all of it for
	// events.
	beacons := hop == driver.Network && (caps.Lossy || !caps.Liveness)
	p := &Publisher{
		half: half, name: name, id: cfg.ID, epoch: cfg.Epoch, limit: limit, log: cfg.Log,
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
		closed:  make(chan struct{}),
		lock:    make(chan struct{}, 1),
		book:    numbering.New(max(maxTopics, numbering.MinTopics), beacons),
		beacons: beacons,
	}
	if left != nil {
		p.book.Restore(left.floor, left.last)
	}
	p.refuse = sync.OnceFunc(func() { close(p.closing) })
	p.close = sync.OnceValue(func() error {
		defer close(p.closed)
		err := half.Close()
		p.beacon.wait()
		return err
	})
	if beacons {
		if err := p.beacon.start(p, !caps.Liveness, fresh); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

// ID returns the stable identity.
func (p *Publisher) ID() string { return p.id }

// Epoch returns the number of this incarnation.
func (p *Publisher) Epoch() uint64 { return p.epoch }

// Addr returns where the publisher can be reached, or nil if its driver doesn't
// bind.
func (p *Publisher) Addr() net.Addr {
	if b, ok := p.half.(driver.Bound); ok {
		return b.Addr()
	}
	return nil
}

// Status returns what the driver knows of itself, or else what was counted
// here.
func (p *Publisher) Status() driver.Status {
	if s, ok := p.half.(driver.Statuser); ok {
		return s.Status()
	}
	return driver.Status{Messages: p.messages.Load(), Bytes: p.bytes.Load()}
}

// Publish hands one event to the driver: when it returns nil, the event will
// reach whoever holds its topic and is connected, as far as the driver can. It
// blocks while the driver's queue is full, until ctx ends; then the event was
// not sent and its number goes to the next one, unless the error is ErrUnsure.
func (p *Publisher) Publish(ctx context.Context, e Event) error {
	var f envelope.Fields
	err := p.check(&e, &f)
	if err == nil {
		err = p.acquire(ctx)
	}
	if err != nil {
		return wrap("publish", p.name, e.Topic, err)
	}
	if err = p.encode(&f, e.Topic); err == nil {
		_, err = p.handOver(ctx)
	}
	p.release()
	return wrap("publish", p.name, e.Topic, err)
}

// PublishBatch hands over several events, in order and with no other between
// them. It returns how many were accepted; the error is about the next one.
func (p *Publisher) PublishBatch(ctx context.Context, events []Event) (n int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	if err := p.acquire(ctx); err != nil {
		return 0, wrap("publish", p.name, events[0].Topic, err)
	}
	defer p.release()
	for n < len(events) && err == nil {
		for i := n; i < len(events) && p.room() && err == nil; i++ {
			var f envelope.Fields
			if err = p.check(&events[i], &f); err == nil {
				err = p.encode(&f, events[i].Topic)
			}
		}
		// What was good goes before the error of what was not.
		accepted, handErr := p.handOver(ctx)
		n += accepted
		if handErr != nil {
			err = handErr
		}
	}
	if err != nil {
		return n, wrap("publish", p.name, events[n].Topic, err)
	}
	return n, nil
}

// forward is PublishBatch for messages that somebody else has encoded. It
// returns how many were accepted, and why not the next one: bad when that is
// the message's own fault, err when it can be tried again. behind is how many
// after a bad one went with it, as far as can be known: to send them again would
// bring them twice, under other numbers; and if they did not go, their numbers
// are missing.
func (p *Publisher) forward(ctx context.Context, msgs []driver.Message) (n, behind int, bad, err error) {
	if err := p.acquire(ctx); err != nil {
		return 0, 0, nil, err
	}
	defer p.release()
	for n < len(msgs) && bad == nil && err == nil {
		for i := n; i < len(msgs) && p.room() && bad == nil; i++ {
			bad = p.renumber(&msgs[i])
		}
		// What was good goes before the error of what was not.
		batch, accepted := len(p.batch), 0
		accepted, err = p.handOver(ctx)
		n += accepted
		if errors.Is(err, ErrRefused) && errors.Is(err, ErrUnsure) {
			behind = batch - accepted - 1
		}
	}
	if err != nil {
		if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrRefused) {
			return n, behind, err, nil
		}
		return n, 0, nil, err
	}
	return n, 0, bad, nil
}

// tellSync tells whoever holds a topic to sync, as Publish would. Where the topic's
// numbers are used up the event has none.
func (p *Publisher) tellSync(ctx context.Context, topic string) error {
	e := Event{Action: ActionSync, Topic: topic}
	var f envelope.Fields
	err := p.check(&e, &f)
	if err == nil {
		err = p.acquire(ctx)
	}
	if err != nil {
		return wrap("publish", p.name, topic, err)
	}
	if err = p.encode(&f, topic); errors.Is(err, numbering.ErrExhausted) {
		err = nil
		p.add([]byte(topic), envelope.Append(nil, &f), nil)
	}
	if err == nil {
		_, err = p.handOver(ctx)
	}
	p.release()
	return wrap("publish", p.name, topic, err)
}

// Flush blocks until everything accepted so far was handed to every peer that
// takes it, or ctx ends. An error means that something may be left.
func (p *Publisher) Flush(ctx context.Context) error {
	return wrap("flush", p.name, "", p.half.Flush(ctx))
}

// Shutdown refuses new events, flushes, and closes, even when the flush failed
// or ctx ended, which is then the error.
func (p *Publisher) Shutdown(ctx context.Context) error {
	p.refuse()
	select {
	case <-p.closed:
		return p.Close()
	default:
	}
	var err error
	select {
	case p.lock <- struct{}{}: // until the end: nothing comes after the flush
		close(p.ended)
		p.beacon.farewell(ctx, p)
		if err = p.half.Flush(ctx); errors.Is(err, ErrClosed) {
			err = nil // somebody has called Close, and knows
		}
	case <-p.closed: // by another Shutdown, which has the lock, or by Close
	case <-ctx.Done():
		err = ctx.Err()
	}
	if closeErr := p.close(); err == nil {
		err = closeErr
	}
	return wrap("shut down publisher", p.name, "", err)
}

// Close stops at once, without a flush. It is idempotent and wakes whoever is
// blocked.
func (p *Publisher) Close() error {
	p.refuse()
	return wrap("close publisher", p.name, "", p.close())
}

// acquire takes the lock.
func (p *Publisher) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-p.closing:
		return ErrClosed
	default:
	}
	select {
	case p.lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closing:
		return ErrClosed
	}
}

// release gives the lock back.
func (p *Publisher) release() {
	if cap(p.scratch) > 4*batchBytes {
		p.scratch = nil
	}
	<-p.lock
}

// check reports why an event can't be sent, and sets f to its fields.
func (p *Publisher) check(e *Event, f *envelope.Fields) error {
	if err := checkTopic(e.Topic); err != nil {
		return err
	}
	if e.Topic == topicBeats {
		return fmt.Errorf("%w: the topic %q is reserved", ErrInvalidEvent, e.Topic)
	}
	if e.Action == actionBeacon {
		return fmt.Errorf("%w: the action %q is reserved", ErrInvalidEvent, e.Action)
	}
	e.fields(f)
	// A first test, before anything is copied.
	if size := len(e.Table) + len(e.Key) + len(e.Action) + len(e.Value); size > p.limit {
		return p.tooLarge(size)
	}
	if err := f.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	return nil
}

func (p *Publisher) tooLarge(size int) error {
	return fmt.Errorf("%w: %d bytes, more than %d", ErrTooLarge, size, p.limit)
}

// room tells whether the batch may get another message.
func (p *Publisher) room() bool {
	return len(p.batch) < maxBatch && len(p.scratch) < batchBytes
}

// encode numbers one event and appends it to the batch, unless it turns out to
// be too large. Caller holds the lock.
func (p *Publisher) encode(f *envelope.Fields, topic string) error {
	s := p.book.Find(topic)
	if s == nil {
		s = p.book.Begin(topic)
	}
	seq, err := p.book.Give(s)
	if err != nil {
		return err
	}
	f.Epoch, f.Seq = p.epoch, seq
	start := len(p.scratch)
	p.scratch = append(p.scratch, topic...)
	body := len(p.scratch)
	p.scratch = envelope.Append(p.scratch, f)
	if size := len(p.scratch) - body; size > p.limit {
		p.book.TakeBack(s)
		p.scratch = p.scratch[:start]
		return p.tooLarge(size)
	}
	p.add(p.scratch[start:body:body], p.scratch[body:], s)
	return nil
}

// errTopic is why renumber refuses a message whose topic is none.
var errTopic = errors.New("not a topic")

// renumber appends an encoded event to the batch, under our own number. Caller
// holds the lock.
func (p *Publisher) renumber(m *driver.Message) error {
	s := p.book.FindBytes(m.Topic)
	if s == nil && (!validTopic(m.Topic) || string(m.Topic) == topicBeats) {
		return errTopic
	}
	if size := len(m.Payload); size > p.limit {
		return p.tooLarge(size) // as it came: our own numbers don't count
	}
	seq, err := p.book.Peek(s)
	if err != nil {
		return err
	}
	start := len(p.scratch)
	scratch, err := envelope.Renumber(p.scratch, m.Payload, p.epoch, seq)
	if err != nil {
		return err
	}
	if s == nil {
		s = p.book.Begin(string(m.Topic))
	}
	p.book.Give(s) // seq
	p.scratch = scratch
	p.add(m.Topic, scratch[start:], s)
	return nil
}

// add appends a message to the batch, with a number of the series; nil: it has none.
func (p *Publisher) add(topic, payload []byte, s *numbering.Series) {
	p.batch = append(p.batch, driver.Message{Topic: topic, Payload: payload})
	p.owners = append(p.owners, s)
}

// handOver publishes the batch and empties it. The numbers of what was not
// accepted are free again, unless somebody may get them: that one would take
// what has the number next for the same event. Caller holds the lock.
func (p *Publisher) handOver(ctx context.Context) (n int, err error) {
	if len(p.batch) > 0 {
		n, err = p.half.Publish(ctx, p.batch)
		if n < len(p.batch) && err == nil {
			err = fmt.Errorf("the driver accepted %d of %d events and gave no reason", n, len(p.batch))
		}
		bytes := 0
		for i := range p.batch[:n] {
			bytes += len(p.batch[i].Payload)
		}
		used := n
		if errors.Is(err, ErrUnsure) {
			used = len(p.owners)
		}
		if p.beacons {
			for _, s := range p.owners[:used] {
				if s != nil {
					p.book.Accepted(s)
				}
			}
		}
		for _, s := range p.owners[used:] {
			if s != nil {
				p.book.TakeBack(s)
			}
		}
		p.messages.Add(uint64(n))
		p.bytes.Add(uint64(bytes))
	}
	p.empty()
	return n, err
}

// empty makes an empty batch. Caller holds the lock.
func (p *Publisher) empty() {
	clear(p.batch)
	p.batch, p.owners, p.scratch = p.batch[:0], p.owners[:0], p.scratch[:0]
}
