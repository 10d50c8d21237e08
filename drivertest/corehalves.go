package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// tap is the driver, and remembers the publisher that it opened last.
type tap struct {
	driver.Driver
	last driver.Publisher
}

func (d *tap) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	pub, err := d.Driver.OpenPublisher(ctx, cfg)
	d.last = pub
	return pub, err
}

// corePublisher is a wyvern.Publisher over the driver under test.
type corePublisher struct {
	*wyvern.Publisher
	p    *place
	half driver.Publisher
}

func (p *place) corePublisher(edit ...func(*driver.Config)) *corePublisher {
	p.Helper()
	p.publishers++
	d := &tap{Driver: p.h.Driver}
	pub, err := wyvern.OpenPublisher(p.ctx, wyvern.PublisherOptions{
		Driver: d, Hop: p.h.Hop, ID: fmt.Sprintf("publisher-%d", p.publishers), Config: p.config(edit...),
	})
	if err != nil {
		p.Fatalf("OpenPublisher: %v", err)
	}
	p.Cleanup(func() { p.closes("Close of a Publisher", pub.Close) })
	return &corePublisher{pub, p, d.last}
}

func (pub *corePublisher) send(topic, key string) {
	pub.p.Helper()
	if err := pub.Publish(pub.p.ctx, set(topic, key)); err != nil {
		pub.p.Fatalf("Publish: %v", err)
	}
}

func set(topic, key string) wyvern.Event {
	return wyvern.Event{Table: "table", Key: key, Action: wyvern.ActionSet, Value: `{"id": "` + key + `"}`, Topic: topic}
}

// coreSubscriber is a wyvern.Subscriber over the driver under test, that keeps
// what its handler got.
type coreSubscriber struct {
	*wyvern.Subscriber
	p *place

	mu      sync.Mutex
	got     []wyvern.Event
	told    uint64 // resyncs, before what got has
	changed chan struct{}
}

// coreSubscriber opens one that has been told what it is told once. handler, if
// not nil, is called first; what it returns the subscriber gets.
func (p *place) coreSubscriber(handler func(context.Context, wyvern.Event) error, topics []string, pubs ...*corePublisher) *coreSubscriber {
	p.Helper()
	s := p.newcomer(handler, topics, pubs...)
	s.settle(topics, pubs...)
	return s
}

// newcomer opens a coreSubscriber that may not have heard of its publishers yet:
// for who wants several, which can wait for that together, or none of it.
func (p *place) newcomer(handler func(context.Context, wyvern.Event) error, topics []string, pubs ...*corePublisher) *coreSubscriber {
	p.Helper()
	s := &coreSubscriber{p: p, changed: make(chan struct{}, 1)}
	sub, err := wyvern.OpenSubscriber(p.ctx, wyvern.SubscriberOptions{
		Driver: p.h.Driver, Hop: p.h.Hop, Topics: topics, Config: p.config(smallQueue),
		Handler: func(ctx context.Context, e wyvern.Event) error {
			s.mu.Lock()
			s.got = append(s.got, e)
			s.mu.Unlock()
			select {
			case s.changed <- struct{}{}:
			default:
			}
			if handler != nil && !isProbe(e.Topic) {
				return handler(ctx, e)
			}
			return nil
		},
	})
	if err != nil {
		p.Fatalf("OpenSubscriber: %v", err)
	}
	s.Subscriber = sub
	p.Cleanup(func() { p.closes("Close of a Subscriber", sub.Close) })
	for _, pub := range pubs {
		if p.caps.Binds&driver.Publishes == 0 {
			break
		}
		if err := sub.Connect(p.h.URI(pub.half)); err != nil {
			p.Fatalf("Connect: %v", err)
		}
	}
	switch err := sub.Await(p.ctx); {
	case err == nil:
	case !errors.Is(err, wyvern.ErrNotSupported):
		p.Fatalf("Await: %v", err)
	case !p.caps.Filters && p.caps.Binds == driver.Subscribes, p.caps.Confirms && p.caps.Binds == 0:
	default:
		s.probe(pubs...)
	}
	return s
}

func (s *coreSubscriber) probe(pubs ...*corePublisher) {
	s.p.Helper()
	for _, pub := range pubs {
		s.p.probes++
		topic := fmt.Sprint(probePrefix, s.p.probes)
		if err := s.Subscribe(s.p.ctx, topic); err != nil {
			s.p.Fatalf("Subscribe: %v", err)
		}
		for wait := time.Millisecond; !s.has(topic); wait = min(2*wait, 100*time.Millisecond) {
			pub.send(topic, "probe")
			select {
			case <-s.changed:
			case <-time.After(wait):
			case <-s.p.ctx.Done():
				s.p.Fatalf("nothing that %s publishes is received", pub.ID())
			}
		}
	}
}

func (s *coreSubscriber) has(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.got, func(e wyvern.Event) bool { return e.Topic == topic && e.Action != wyvern.ActionSync })
}

// settle waits until the subscriber was told what it is told once on a driver
// that may lose: that there may have been something on each topic before it heard
// of the publisher.
func (s *coreSubscriber) settle(topics []string, pubs ...*corePublisher) {
	s.p.Helper()
	if !s.p.caps.Lossy {
		return
	}
	s.await("what is told once of each topic and publisher", func(got []wyvern.Event) bool {
		told := 0
		for _, e := range got {
			if e.Reason == wyvern.ReasonSubscribed && slices.Contains(topics, e.Topic) {
				told++
			}
		}
		return told >= len(topics)*len(pubs)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = nil
	s.told = s.Stats().Resyncs
}

func (s *coreSubscriber) events() []wyvern.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.got), func(e wyvern.Event) bool { return isProbe(e.Topic) })
}

func (s *coreSubscriber) await(what string, enough func([]wyvern.Event) bool) []wyvern.Event {
	s.p.Helper()
	for {
		got := s.events()
		if enough(got) {
			return got
		}
		select {
		case <-s.changed:
		case <-s.p.ctx.Done():
			s.p.Fatalf("waited in vain for %s; %d events arrived%s", what, len(got), resyncs(got))
		}
	}
}

// resyncs says what a subscriber was told, for who wonders at a failure.
func resyncs(got []wyvern.Event) string {
	var all strings.Builder
	for i, e := range got {
		if e.Action == wyvern.ActionSync {
			fmt.Fprintf(&all, "; the %dth is a resync of %q: %s", i+1, e.Topic, e.Reason)
		}
	}
	return all.String()
}

func (s *coreSubscriber) awaitKey(topic, key string) []wyvern.Event {
	s.p.Helper()
	return s.await(key+" on "+topic, func(got []wyvern.Event) bool {
		return slices.ContainsFunc(got, func(e wyvern.Event) bool { return e.Topic == topic && e.Key == key })
	})
}
