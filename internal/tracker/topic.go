package tracker

import (
	"slices"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// Topic is one topic from when it is held until it is dropped.
type Topic struct {
	Name    string
	dropped atomic.Bool
	series  []*series // one per publisher that was heard of
	before  []heard   // of the name, when it was held before
}

// NewTopic returns a topic of which nothing was seen.
func NewTopic(name string) *Topic { return &Topic{Name: name} }

// Drop says that the topic is no longer held. Any goroutine may call it.
func (t *Topic) Drop() { t.dropped.Store(true) }

// Dropped says whether Drop was called. Any goroutine may call it.
func (t *Topic) Dropped() bool { return t.dropped.Load() && !plant.On(plant.CallAfterDrop) }

// of returns a topic's series of a publisher.
func (tr *Tracker) of(t *Topic, p *Publisher) *series {
	for _, s := range t.series {
		if s.pub == p {
			return s
		}
	}
	t.series = slices.DeleteFunc(t.series, func(s *series) bool { return s.pub.forgotten && s.due == nil })
	s := &series{topic: t, pub: p}
	tr.inherit(s)
	t.series = append(t.series, s)
	return s
}
