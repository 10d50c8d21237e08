package nats

import (
	"context"
	"errors"
	"fmt"
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
	// denied are the subjects that the server does not let us subscribe to, and
	// crowded is how often it said that there are too many. They are of subs.
	denied  map[string]error
	crowded int
}

// subscriptions are those of one session.
type subscriptions struct {
	session *session
	mu      sync.Mutex // before the subscriber's
	by      map[string]*client.Subscription

	// The subscriber's mu guards it: subjects of which the server has not said
	// that we may not.
	inForce map[string]bool
}

// drop gives subscriptions up that the server does not have.
func (s *subscriptions) drop(subjects []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subject := range subjects {
		if sub := s.by[subject]; sub != nil {
			delete(s.by, subject)
			if err := sub.Unsubscribe(); err != nil {
				return err
			}
		}
	}
	return nil
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
		pending: make(map[string]struct{}), denied: make(map[string]error),
	}
	l.begin, l.trouble = f.begin, f.trouble
	s.done.Go(f.pump)
	s.done.Go(f.insist)
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

// trouble notes that the client library has dropped messages, or that the
// server does not let us have some.
func (f *feed) trouble(sess *session, sub *client.Subscription, err error) {
	s := f.sub
	publish, subject, denied := violation(err)
	denied = denied && !publish
	s.mu.Lock()
	topic := s.held[subject]
	tell := driver.NoNotice
	switch {
	case f.subs == nil || f.subs.session != sess: // of before
	case sub != nil && errors.Is(err, client.ErrSlowConsumer):
		topic, tell = s.held[sub.Subject], driver.Behind // nil if it is the pattern of all
	case errors.Is(err, client.ErrMaxSubscriptionsExceeded):
		f.crowded++
	case denied:
		f.denied[subject] = err
		if f.subs.inForce[subject] {
			tell = driver.Gap // it was permitted until now
			delete(f.subs.inForce, subject)
		}
	}
	s.mu.Unlock()
	if tell != driver.NoNotice {
		s.inbox.put(driver.Message{Topic: topic, Source: f.source, Notice: tell})
	}
}

// insist asks again, now and then, for what the server does not let us have. What
// is held and doesn't come is told each time, and that it comes.
func (f *feed) insist() {
	t := time.NewTicker(f.sub.settings.cfg.ReconnectMax)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			f.again()
		case <-f.done:
			return
		case <-f.sub.ctx.Done():
			return
		}
	}
}

func (f *feed) again() {
	s := f.sub
	s.mu.Lock()
	subs := f.subs
	var subjects []string
	for subject := range f.denied {
		if _, held := s.held[subject]; held || s.all {
			subjects = append(subjects, subject)
		}
	}
	clear(f.denied)
	s.mu.Unlock()
	if len(subjects) == 0 || subs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.settings.cfg.HandshakeTimeout)
	defer cancel()
	if subs.drop(subjects) != nil || f.put(subs, subjects) != nil || subs.session.flush(ctx) != nil {
		return // it begins anew
	}
	f.tell(subs, subjects)
}

// tell tells of each of the subjects whether it is in force now, though nobody
// waits for that.
func (f *feed) tell(subs *subscriptions, subjects []string) {
	s := f.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.subs != subs {
		return
	}
	for _, subject := range subjects {
		topic, held := s.held[subject]
		m := driver.Message{Topic: topic, Source: f.source, Notice: driver.Confirmed}
		if f.denied[subject] != nil {
			m.Notice = driver.Gap
		} else {
			subs.inForce[subject] = true
		}
		if held || s.all {
			s.inbox.put(m)
		}
	}
}

// begin subscribes on a new session. After the first one, what was published
// in between may be missed.
func (f *feed) begin(ctx context.Context, sess *session) error {
	s := f.sub
	subs := &subscriptions{session: sess, by: make(map[string]*client.Subscription), inForce: make(map[string]bool)}
	sess.subs = subs
	s.mu.Lock()
	f.subs = subs
	subjects := make([]string, 0, len(s.held)+1)
	for subject := range s.held {
		subjects = append(subjects, subject)
	}
	clear(f.pending)
	clear(f.denied)
	f.crowded = 0
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
	if err == nil {
		err = f.refused(subs, subjects, 0)
	}
	switch {
	case err != nil && sess.number == 1 && s.all:
		return err
	case err != nil && !errors.Is(err, client.ErrPermissionViolation):
		return fmt.Errorf("subscribe again: %w", err)
	}
	if sess.number > 1 {
		s.inbox.put(driver.Message{Source: f.source, Notice: driver.Gap}) // about what is denied, too
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
		subs, crowded := f.subs, f.crowded
		var before []string // denied, and perhaps not any more
		for _, subject := range subjects {
			if f.denied[subject] != nil {
				delete(f.denied, subject)
				before = append(before, subject)
			}
		}
		f.sub.mu.Unlock()
		if subs != nil {
			err := subs.drop(before)
			if err == nil {
				err = f.put(subs, subjects)
			}
			if err == nil && confirm {
				err = subs.session.flush(ctx)
			}
			if err == nil && confirm {
				return f.refused(subs, subjects, crowded)
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
			return f.refused(next.subs, subjects, 0)
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

// refused reports what the server does not let us subscribe to. The others are
// in force. crowded is how often it had said before that there are too many.
func (f *feed) refused(subs *subscriptions, subjects []string, crowded int) error {
	s := f.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.subs != subs {
		return nil // begun anew, behind a notice
	}
	var first error
	for _, subject := range subjects {
		if f.crowded > crowded && !subs.inForce[subject] {
			// It does not say which one.
			f.denied[subject] = driver.WithHint(client.ErrMaxSubscriptionsExceeded, "raise max_subscriptions in the servers' configuration, or of the account")
		}
		err := f.denied[subject]
		switch {
		case err == nil:
			subs.inForce[subject] = true
		case first == nil:
			first = err
			if errors.Is(err, client.ErrPermissionViolation) {
				first = driver.WithHint(err, "give the user permission to subscribe to "+subject)
			}
		}
	}
	return first
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
		for _, subject := range subjects {
			delete(f.pending, subject)
		}
		s.mu.Unlock()
		f.tell(subs, subjects)
	}
}
