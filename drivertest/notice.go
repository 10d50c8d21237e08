package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// What the contract promises at the defaults, property I5.
const (
	lastEventBound     = 3 * time.Second
	publisherGoneBound = 5 * time.Second
)

// noticeTrials is how many trials of each kind go on at a time.
const noticeTrials = 20

// lostMark is in the bodies of events that a thief takes.
var lostMark = []byte("stolen on the way")

// RunNotice measures how soon a handler is told what it can't see: that the last
// event of a topic that then falls quiet was lost, and that a publisher has ended
// without a word. It fails when the slowest of several trials took longer than the
// contract allows. Drivers that notice both themselves are not robbed of an event:
// above them nothing is lost.
func RunNotice(t *testing.T, h Harness) {
	h = h.withDefaults()
	if caps := h.Driver.Capabilities(); caps.Lossy || !caps.Liveness {
		t.Run("LastEventLost", func(t *testing.T) { newNoticeTrial(t, h).lastEventLost() })
	}
	t.Run("PublisherGone", func(t *testing.T) { newNoticeTrial(t, h).publisherGone() })
}

// noticeTrial is a node that waits to be told.
type noticeTrial struct {
	*place
	sub *wyvern.Subscriber

	mu      sync.Mutex
	seen    map[string]bool // by key
	told    map[string]bool // by topic and reason
	changed chan struct{}
}

func newNoticeTrial(t *testing.T, h Harness) *noticeTrial {
	return &noticeTrial{place: newPlace(t, h), seen: map[string]bool{}, told: map[string]bool{}, changed: make(chan struct{}, 1)}
}

// open opens the node, with the defaults of everything.
func (n *noticeTrial) open(topics []string, pubs ...*corePublisher) {
	n.Helper()
	var err error
	n.sub, err = wyvern.OpenSubscriber(n.ctx, wyvern.SubscriberOptions{
		Driver: thievish{n.h.Driver}, Hop: n.h.Hop, Topics: topics, Config: n.config(), Handler: n.handle,
	})
	if err != nil {
		n.Fatalf("OpenSubscriber: %v", err)
	}
	n.Cleanup(func() { n.closes("Close of a Subscriber", n.sub.Close) })
	for _, pub := range pubs {
		if n.caps.Binds&driver.Publishes != 0 {
			if err := n.sub.Connect(n.h.URI(pub.half)); err != nil {
				n.Fatalf("Connect: %v", err)
			}
		}
	}
}

func (n *noticeTrial) handle(_ context.Context, e wyvern.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Action == wyvern.ActionSync {
		n.told[e.Topic+" "+string(e.Reason)] = true
	} else {
		n.seen[e.Key] = true
	}
	select {
	case n.changed <- struct{}{}:
	default:
	}
	return nil
}

// until waits for what the handler gets.
func (n *noticeTrial) until(what string, done func() bool) {
	n.Helper()
	for {
		n.mu.Lock()
		ok := done()
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-n.changed:
		case <-n.ctx.Done():
			n.Fatalf("waited in vain for %s", what)
		}
	}
}

// meet has an event of a publisher arrive on each topic.
func (n *noticeTrial) meet(pub *corePublisher, topics []string) {
	n.Helper()
	for _, topic := range topics {
		n.probes++
		key := fmt.Sprint("probe ", n.probes)
		for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			pub.send(topic, key)
			timer := time.NewTimer(wait)
			select {
			case <-n.changed:
			case <-timer.C:
			case <-n.ctx.Done():
				n.Fatalf("nothing that %s publishes arrives", pub.ID())
			}
			timer.Stop()
			n.mu.Lock()
			arrived := n.seen[key]
			n.mu.Unlock()
			if arrived {
				break
			}
		}
	}
}

// forget forgets what was told so far, when all of it has been.
func (n *noticeTrial) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.told)
}

func (n *noticeTrial) lastEventLost() {
	var topics []string
	for i := range noticeTrials {
		topics = append(topics, fmt.Sprintf("topic %d", i))
	}
	pub := n.corePublisher()
	n.open(topics, pub)
	n.meet(pub, topics)
	n.forget()
	began := make(map[string]time.Time)
	for _, topic := range topics {
		began[topic] = time.Now()
		if err := pub.Publish(n.ctx, wyvern.Event{Action: wyvern.ActionSet, Key: "lost", Topic: topic, Value: string(lostMark)}); err != nil {
			n.Fatalf("Publish: %v", err)
		}
		linger(n.ctx, 30*time.Millisecond) // at different times between two beacons
	}
	slowest := time.Duration(0)
	for len(began) > 0 {
		n.until("a resync of each topic", func() bool {
			for topic, at := range began {
				if n.told[topic+" "+string(wyvern.ReasonGap)] {
					slowest = max(slowest, time.Since(at))
					delete(began, topic)
					return true
				}
			}
			return false
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen["lost"] {
		n.Errorf("nothing was lost")
	}
	n.Logf("a lost last event was told after %v at most, in %d trials", slowest.Round(time.Millisecond), noticeTrials)
	if slowest > lastEventBound {
		n.Errorf("a lost last event was told only after %v, want %v at most", slowest, lastEventBound)
	}
}

func (n *noticeTrial) publisherGone() {
	const topic = "T"
	slowest := time.Duration(0)
	trials := 2
	for range trials {
		n.ctx = n.patience()
		pub := n.corePublisher()
		if n.sub == nil {
			n.open([]string{topic}, pub)
		} else if n.caps.Binds&driver.Publishes != 0 {
			if err := n.sub.Connect(n.h.URI(pub.half)); err != nil {
				n.Fatalf("Connect: %v", err)
			}
		}
		n.meet(pub, []string{topic})
		linger(n.ctx, 1500*time.Millisecond) // it is known to live
		n.forget()
		began := time.Now()
		if err := pub.Close(); err != nil {
			n.Fatalf("Close: %v", err)
		}
		n.until("the loss of the publisher", func() bool { return n.told[topic+" "+string(wyvern.ReasonLost)] })
		slowest = max(slowest, time.Since(began))
	}
	n.Logf("the end of a publisher was told after %v at most, in %d trials", slowest.Round(time.Millisecond), trials)
	if slowest > publisherGoneBound {
		n.Errorf("the end of a publisher was told only after %v, want %v at most", slowest, publisherGoneBound)
	}
}

// patience returns a context for one trial.
func (n *noticeTrial) patience() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), n.h.Timeout)
	n.Cleanup(cancel)
	return ctx
}

// thievish is a driver of which subscribers lose what is marked, as if the
// mechanism had.
type thievish struct{ driver.Driver }

func (d thievish) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	sub, err := d.Driver.OpenSubscriber(ctx, cfg)
	if err != nil {
		return nil, err
	}
	robbed := robbed{sub}
	c, connects := sub.(driver.Connector)
	if connects {
		return struct {
			driver.Subscriber
			driver.Connector
		}{robbed, c}, nil
	}
	return robbed, nil
}

type robbed struct{ driver.Subscriber }

// Receive implements driver.Subscriber.
func (s robbed) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	for {
		n, err := s.Subscriber.Receive(ctx, dst)
		kept := 0
		for _, m := range dst[:n] {
			if !bytes.Contains(m.Payload, lostMark) {
				dst[kept] = m
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}
