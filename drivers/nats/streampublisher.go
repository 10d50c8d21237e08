package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxUnacked is how many messages may be on their way to the stream at
	// once.
	maxUnacked = 512
	// ackTimeout is after how long without an answer they are sent again.
	ackTimeout = 4 * time.Second
)

// streamPublisher implements driver.Publisher and Statuser on a stream. What it
// accepts was stored.
type streamPublisher struct {
	link  *link
	store *store
	nonce string // begins the identities of this half's messages

	// Only Publish uses these.
	cache cache
	next  uint64 // the number of the next message
	acked []bool
	// unsure were sent by a call that ended before they were answered. They go
	// before all others, so that they are neither lost nor late.
	unsure []driver.Message
	from   uint64 // the number of unsure[0]

	refusal chan struct{} // one when there is another of denied

	mu     sync.Mutex
	status driver.Status
	denied denials
}

func openStreamPublisher(ctx context.Context, l *link) (driver.Publisher, error) {
	p := &streamPublisher{
		link: l, store: newStore(l.settings), nonce: client.NewInbox()[len("_INBOX."):] + "-",
		cache:  cache{subjects: l.settings.subjects},
		denied: newDenials(l.settings), refusal: make(chan struct{}, 1),
	}
	l.trouble = p.trouble
	l.begin = p.begin
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
	}
	return p, nil
}

// trouble is the link's.
func (p *streamPublisher) trouble(s *session, sub *client.Subscription, err error) {
	publish, subject, ok := violation(err)
	if _, e := p.link.settings.subjects.topic(subject); !ok || !publish || e != nil {
		p.store.trouble(s, sub, err)
		return
	}
	p.mu.Lock()
	p.denied.add(subject, refusedPublish(err, subject))
	p.mu.Unlock()
	signal(p.refusal)
}

// refused returns why the server does not take messages of a subject.
func (p *streamPublisher) refused(subject string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.denied.of(subject)
}

// begin makes the place where answers come, and the first time looks for the
// stream.
func (p *streamPublisher) begin(ctx context.Context, s *session) error {
	s.inbox = client.NewInbox() + "."
	s.acks = make(chan *client.Msg, 2*maxUnacked)
	if _, err := s.nc.ChanSubscribe(s.inbox+"*", s.acks); err != nil {
		return err
	}
	if s.number > 1 {
		return nil // Publish looks when it finds none
	}
	return p.store.find(ctx, s)
}

// Publish implements driver.Publisher: it returns when the stream has stored
// all of it.
func (p *streamPublisher) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	if err := p.settle(ctx); err != nil {
		return 0, err
	}
	r := p.newRun(msgs, p.next)
	p.next += uint64(len(msgs))
	err = r.all(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range msgs[:r.first] {
		p.status.Messages++
		p.status.Bytes += uint64(len(msgs[i].Payload))
	}
	open := r.first
	if errors.Is(err, driver.ErrRefused) {
		open++ // that one was not stored
	}
	if err != nil && open < r.reached {
		err = fmt.Errorf("%w: %w", driver.ErrUnsure, err)
		p.from = r.base + uint64(open)
		end := r.reached
		if errors.Is(err, driver.ErrRefused) {
			end = len(msgs) // nobody sends those behind it again
		}
		for _, m := range msgs[open:end] {
			p.unsure = append(p.unsure, driver.Message{Topic: bytes.Clone(m.Topic), Payload: bytes.Clone(m.Payload)})
		}
	}
	return r.first, err
}

// settle sends again what an earlier call left unsure, until it is stored.
func (p *streamPublisher) settle(ctx context.Context) error {
	for len(p.unsure) > 0 {
		r := p.newRun(p.unsure, p.from)
		err := r.all(ctx)
		done := r.first
		if errors.Is(err, driver.ErrTooLarge) || errors.Is(err, driver.ErrRefused) {
			done, err = done+1, nil // it can't be stored any more
		}
		p.unsure, p.from = p.unsure[done:], p.from+uint64(done)
		if err != nil {
			return err
		}
	}
	p.unsure = nil
	return nil
}

func (p *streamPublisher) newRun(msgs []driver.Message, base uint64) *run {
	if len(p.acked) < len(msgs) {
		p.acked = make([]bool, len(msgs))
	}
	r := &run{p: p, msgs: msgs, base: base, acked: p.acked[:len(msgs)]}
	clear(r.acked)
	return r
}

// run is one call of Publish. The stream gets the messages in order: whenever
// one was not stored, or its answer is lost, everything from it on is sent
// again, under the same identities, so that what was stored is not stored twice.
type run struct {
	p       *streamPublisher
	msgs    []driver.Message
	base    uint64 // the number of msgs[0]
	acked   []bool
	first   int // the first that was not acknowledged
	reached int // what comes from here on was never sent
	last    error
}

func (r *run) all(ctx context.Context) error {
	b := backoff.Backoff{Min: 20 * time.Millisecond, Max: time.Second}
	for {
		s, err := r.p.link.await(ctx)
		if err != nil {
			return r.because(err)
		}
		before := r.first
		err = r.on(ctx, s)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, driver.ErrTooLarge), errors.Is(err, driver.ErrRefused), errors.Is(err, client.ErrPermissionViolation):
			return err
		case errors.Is(err, driver.ErrClosed):
			return err
		case ctx.Err() != nil:
			return r.because(ctx.Err())
		}
		if !errors.Is(err, errLost) {
			r.p.link.warned.Warn(r.p.link.log, "publish again", "error", err)
			r.last = err
		}
		if r.first > before {
			b.Reset()
		}
		select {
		case <-time.After(b.Next()):
		case <-r.p.link.ctx.Done(): // await says so
		case <-ctx.Done():
			return r.because(ctx.Err())
		}
	}
}

// because adds to why it ended what it was waiting for.
func (r *run) because(err error) error {
	if r.last != nil {
		return fmt.Errorf("%w: %w", err, r.last)
	}
	return err
}

// on sends what is not acknowledged on a session until all is, or something
// goes wrong.
func (r *run) on(ctx context.Context, s *session) error {
	next, size := r.first, int64(0)
	timeout := time.NewTimer(ackTimeout)
	defer timeout.Stop()
	for {
		for next < len(r.msgs) && next-r.first < maxUnacked && (next == r.first || size < r.p.link.settings.cfg.Queue) {
			if r.acked[next] {
				next++
				continue
			}
			if err := r.send(s, next); err != nil {
				if (errors.Is(err, driver.ErrTooLarge) || errors.Is(err, driver.ErrRefused)) && next > r.first {
					break // after those before it
				}
				if errors.Is(err, errLost) {
					r.reached = max(r.reached, next+1) // it may have been sent
				}
				return err
			}
			size += int64(len(r.msgs[next].Payload))
			next++
			r.reached = max(r.reached, next)
		}
		if r.first == len(r.msgs) {
			return nil
		}
		select {
		case m := <-s.acks:
			moved, err := r.ack(m)
			if err != nil {
				return r.repair(ctx, s, err)
			}
			if moved {
				timeout.Reset(ackTimeout)
				size = 0
				for i := r.first; i < next; i++ {
					size += int64(len(r.msgs[i].Payload))
				}
			}
		case <-r.p.refusal:
			for i := r.first; i < next; i++ {
				if !r.acked[i] && r.p.refused(r.p.cache.of(r.msgs[i].Topic)) != nil {
					next = i
				}
			}
		case <-timeout.C:
			if err := r.p.store.refusal(); err != nil {
				return driver.WithHint(err, permissions)
			}
			return errors.New("the stream does not answer")
		case <-s.lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		case <-r.p.link.ctx.Done():
			return driver.ErrClosed
		}
		if r.first == len(r.msgs) {
			return nil
		}
	}
}

func (r *run) send(s *session, i int) error {
	m := &r.msgs[i]
	subject := r.p.cache.of(m.Topic)
	if err := r.p.refused(subject); err != nil {
		return err
	}
	number := strconv.FormatUint(r.base+uint64(i), 10)
	header := client.Header{jetstream.MsgIDHeader: {r.p.nonce + number}}
	extra := len("NATS/1.0\r\n\r\n") + len(jetstream.MsgIDHeader) + len(": \r\n") + len(r.p.nonce) + len(number)
	if err := checkSize(r.p.link, len(m.Payload), extra); err != nil {
		return err
	}
	err := s.nc.PublishMsg(&client.Msg{
		Subject: subject, Reply: s.inbox + number, Header: header, Data: m.Payload,
	})
	switch {
	case errors.Is(err, client.ErrMaxPayload):
		return tooLarge(len(m.Payload), s.maxPayload(), "the server's max_payload")
	case err != nil:
		// A part may have been sent. Nothing more may go this way.
		s.nc.Close()
		return errLost
	}
	return nil
}

// answer is what the stream says of a message.
type answer struct {
	Error *struct {
		Code        int    `json:"code"`
		ErrorCode   int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
	Stream string `json:"stream"`
}

var (
	errNoStream = errors.New("no stream takes it")
	stored      = []byte(`{"stream":`)
	failed      = []byte(`"error"`)
)

// ack notes an answer. moved says that a first one came.
func (r *run) ack(m *client.Msg) (moved bool, err error) {
	_, text, _ := cutLast(m.Subject)
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number < r.base || number >= r.base+uint64(len(r.msgs)) {
		return false, nil // of an earlier call
	}
	i := int(number - r.base)
	if m.Header.Get("Status") == "503" {
		if r.acked[i] {
			return false, nil
		}
		return false, errNoStream
	}
	if !bytes.HasPrefix(m.Data, stored) || bytes.Contains(m.Data, failed) {
		var a answer
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return false, fmt.Errorf("not an answer of a stream: %w", err)
		}
		if a.Error != nil && !r.acked[i] {
			if a.Error.ErrorCode == 10054 { // message size exceeds maximum allowed
				return false, driver.WithHint(fmt.Errorf("%w: %d bytes: %s", driver.ErrTooLarge, len(r.msgs[i].Payload), a.Error.Description),
					"raise the stream's maximum message size")
			}
			return false, fmt.Errorf("stream: %s (%d)", a.Error.Description, a.Error.ErrorCode)
		}
	}
	r.acked[i] = true
	for r.first < len(r.msgs) && r.acked[r.first] {
		r.first++
		moved = true
	}
	return moved, nil
}

func cutLast(subject string) (before, after string, found bool) {
	if i := strings.LastIndexByte(subject, '.'); i >= 0 {
		return subject[:i], subject[i+1:], true
	}
	return subject, "", false
}

// repair looks for the stream when there seems to be none.
func (r *run) repair(ctx context.Context, s *session, err error) error {
	if errors.Is(err, errNoStream) {
		if _, err := r.p.store.ensure(ctx, s); err != nil {
			return err
		}
	}
	return err
}

// Flush implements driver.Publisher. What was accepted was stored.
func (p *streamPublisher) Flush(ctx context.Context) error {
	if p.link.ctx.Err() != nil {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// Close implements driver.Publisher.
func (p *streamPublisher) Close() error {
	p.link.close()
	return nil
}

// Status implements driver.Statuser.
func (p *streamPublisher) Status() driver.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	if p.link.connected() {
		s.Peers = 1
	}
	return s
}
