package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"

	client "github.com/nats-io/nats.go"
)

// feed is what comes over one link.
type feed struct {
	sub    *subscriber
	link   *link
	source *driver.Source
	in     chan *client.Msg
	done   chan struct{}

	// others: there are more publishers than this link's, so nobody waits for
	// it to be made again.
	others bool

	// The subscriber's mu guards these.
	subs    *subscriptions      // of the session that is there or begins; nil: none
	pending map[string]struct{} // subjects that were not in force when their Subscribe gave up
	asking  bool
}

// subscriptions are those of one session.
type subscriptions struct {
	session *session
	mu      sync.Mutex // before the subscriber's
	by      map[string]*client.Subscription
}

// feedBuffer is how many messages may be between the client library and the
// inbox. Somebody always moves them on.
const feedBuffer = 1024

// newFeed starts what moves messages from a link, which is not open yet, to
// the inbox.
func (s *subscriber) newFeed(l *link, name string) *feed {
	f := &feed{
		sub: s, link: l, source: &driver.Source{Address: name},
		in: make(chan *client.Msg, feedBuffer), done: make(chan struct{}),
		pending: make(map[string]struct{}),
	}
	l.begin, l.trouble = f.begin, f.trouble
	s.done.Go(f.pump)
	return f
}

func (f *feed) close() {
	f.link.close()
	close(f.done)
}

// pump moves messages to the inbox.
func (f *feed) pump() {
	for {
		select {
		case m := <-f.in:
			f.take(m)
		case <-f.done:
			return
		case <-f.sub.ctx.Done():
			return
		}
	}
}

func (f *feed) take(m *client.Msg) {
	s := f.sub
	s.mu.Lock()
	topic, held := s.held[m.Subject]
	s.mu.Unlock()
	if !held {
		if !s.all {
			return // no longer
		}
		name, err := s.settings.subjects.topic(m.Subject)
		if err != nil {
			s.inbox.malformed()
			return
		}
		topic = []byte(name)
	}
	if len(m.Data) > s.settings.cfg.MaxPayload {
		s.inbox.malformed()
		s.inbox.put(driver.Message{Topic: topic, Source: f.source, Notice: driver.Gap})
		return
	}
	s.inbox.put(driver.Message{Topic: topic, Payload: m.Data, Source: f.source})
}

// trouble notes that the client library has dropped messages.
func (f *feed) trouble(sub *client.Subscription, err error) {
	if sub == nil || !errors.Is(err, client.ErrSlowConsumer) {
		return
	}
	f.sub.mu.Lock()
	topic := f.sub.held[sub.Subject] // nil if it is the pattern of all
	f.sub.mu.Unlock()
	f.sub.inbox.put(driver.Message{Topic: topic, Source: f.source, Notice: driver.Behind})
}

// begin subscribes on a new session. After the first one, what was published
// in between may be missed.
func (f *feed) begin(ctx context.Context, sess *session) error {
	s := f.sub
	subs := &subscriptions{session: sess, by: make(map[string]*client.Subscription)}
	sess.subs = subs
	s.mu.Lock()
	f.subs = subs
	subjects := make([]string, 0, len(s.held)+1)
	for subject := range s.held {
		subjects = append(subjects, subject)
	}
	clear(f.pending)
	s.mu.Unlock()
	if s.all {
		subjects = append(subjects, s.settings.subjects.all())
	}
	err := f.put(subs, subjects)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.settings.cfg.HandshakeTimeout)
		err = sess.flush(ctx)
		cancel()
	}
	if err != nil {
		return fmt.Errorf("subscribe again: %w", err)
	}
	if sess.number > 1 {
		s.inbox.put(driver.Message{Source: f.source, Notice: driver.Gap})
	}
	return nil
}

// put makes the subscriptions of a session to subjects what they should be.
func (f *feed) put(subs *subscriptions, subjects []string) error {
	subs.mu.Lock()
	defer subs.mu.Unlock()
	for _, subject := range subjects {
		f.sub.mu.Lock()
		_, held := f.sub.held[subject]
		f.sub.mu.Unlock()
		if f.sub.all {
			held = subject == f.sub.settings.subjects.all()
		}
		was := subs.by[subject]
		switch {
		case held && was == nil:
			sub, err := subs.session.nc.ChanSubscribe(subject, f.in)
			if err != nil {
				return err
			}
			subs.by[subject] = sub
		case !held && was != nil:
			delete(subs.by, subject)
			if err := was.Unsubscribe(); err != nil {
				return err
			}
		}
	}
	return nil
}

// change adds and removes what the subscriptions lack, where there is a
// connection, and waits for the server to have it if confirm.
func (f *feed) change(ctx context.Context, subjects []string, confirm bool) error {
	for {
		f.sub.mu.Lock()
		subs := f.subs
		f.sub.mu.Unlock()
		if subs != nil {
			err := f.put(subs, subjects)
			if err == nil && confirm {
				err = subs.session.flush(ctx)
			}
			if err == nil && confirm {
				return refused(subs.session, subjects)
			}
			if err == nil {
				return nil
			}
		}
		switch {
		case !confirm:
			return nil // what there is no connection for is told with the next one
		case f.sub.ctx.Err() != nil:
			return driver.ErrClosed
		case ctx.Err() != nil:
			f.later(subjects)
			return ctx.Err()
		case f.others:
			return nil // who is not connected, or not any more, is told as part of connecting
		}
		// Begun anew, with these among the others.
		select {
		case <-f.lost(subs):
		case <-ctx.Done():
			continue
		case <-f.sub.ctx.Done():
			continue
		}
		next, err := f.link.await(ctx)
		if err == nil && (subs == nil || next != subs.session) {
			return refused(next, subjects)
		}
	}
}

// lost returns what is closed when a session is lost, or closed already.
func (f *feed) lost(subs *subscriptions) <-chan struct{} {
	if subs == nil {
		c := make(chan struct{})
		close(c)
		return c
	}
	return subs.session.lost
}

// refused reports a subject that the server does not let us subscribe to.
func refused(sess *session, subjects []string) error {
	err := sess.nc.LastError()
	if !errors.Is(err, client.ErrPermissionViolation) {
		return nil
	}
	for _, subject := range subjects {
		if strings.Contains(err.Error(), strconv.Quote(subject)) {
			return driver.WithHint(err, "give the user permission to subscribe to "+subject)
		}
	}
	return nil
}

// later has it told when subscriptions come into force that nobody waits for
// any more.
func (f *feed) later(subjects []string) {
	f.sub.mu.Lock()
	defer f.sub.mu.Unlock()
	for _, subject := range subjects {
		f.pending[subject] = struct{}{}
	}
	if f.asking || f.sub.closed {
		return
	}
	f.asking = true
	f.sub.done.Go(f.ask)
}

func (f *feed) ask() {
	s := f.sub
	for {
		s.mu.Lock()
		subs := f.subs
		var subjects []string
		for subject := range f.pending {
			subjects = append(subjects, subject)
		}
		if len(subjects) == 0 || subs == nil || s.closed {
			f.asking = false
			s.mu.Unlock()
			return // begun anew meanwhile: that was told
		}
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		err := subs.session.flush(ctx)
		cancel()
		s.mu.Lock()
		if err != nil || f.subs != subs {
			if f.subs == subs {
				f.asking = false
				s.mu.Unlock()
				return // the connection goes, and all is told with the next one
			}
			s.mu.Unlock()
			continue
		}
		var topics [][]byte
		for _, subject := range subjects {
			if topic, held := s.held[subject]; held {
				topics = append(topics, topic)
			}
			delete(f.pending, subject)
		}
		s.mu.Unlock()
		for _, topic := range topics {
			s.inbox.put(driver.Message{Topic: topic, Source: f.source, Notice: driver.Confirmed})
		}
	}
}
