package tracker

import "sync/atomic"

// Topic is one topic from when it is held until it is dropped.
type Topic struct {
	Name    string
	dropped atomic.Bool
	series  []*series // one per publisher that was heard of
}

// NewTopic returns a topic of which nothing was seen.
func NewTopic(name string) *Topic { return &Topic{Name: name} }

// Drop says that the topic is no longer held. Any goroutine may call it.
func (t *Topic) Drop() { t.dropped.Store(true) }

// Dropped says whether Drop was called. Any goroutine may call it.
func (t *Topic) Dropped() bool { return t.dropped.Load() }

// series is what one publisher says on a topic.
type series struct {
	topic   *Topic
	pub     *Publisher
	epoch   uint64 // of last
	last    uint64 // the highest number that was delivered, or is covered
	due     *due   // the resync that is to be told; nil: none
	held    []item // events that wait for one that they overtook, by number
	failed  uint8  // times in a row that the handler failed on a resync
	overdue *due   // when the wait of held ends
}

// item is an event that waits.
type item struct {
	seq   uint64
	event any
}

// of returns the topic's series of a publisher.
func (t *Topic) of(p *Publisher) *series {
	for _, s := range t.series {
		if s.pub == p {
			return s
		}
	}
	s := &series{topic: t, pub: p}
	t.series = append(t.series, s)
	return s
}

// covered says that a resync is due which makes events needless.
func (s *series) covered() bool { return s.due != nil && s.due.covers }
