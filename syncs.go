package wyvern

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

const (
	// syncInterval is how often a relay tells the holders of one topic to
	// resync, at most.
	syncInterval = time.Second
	// maxSyncs is for how many topics, besides TopicAll, it remembers that.
	maxSyncs = 1024
)

// syncs says when which topic's holders are to be told to resync. It only
// computes, and belongs to one goroutine.
type syncs struct {
	topics  map[string]*syncState
	pending int // of the topics
}

type syncState struct {
	at      time.Time // not before
	pending bool
}

// want makes a sync of a topic pending: at once if the last was long enough
// ago.
func (s *syncs) want(topic []byte, now time.Time) {
	st := s.topics[string(topic)]
	if st == nil {
		st = s.add(string(topic), now)
	}
	if plant.On(plant.SyncSkipped) && st.at.After(now) {
		return
	}
	if !st.pending {
		st.pending = true
		s.pending++
	}
}

func (s *syncs) add(topic string, now time.Time) *syncState {
	if len(s.topics) >= maxSyncs && topic != TopicAll {
		s.forget(now)
		if len(s.topics) >= maxSyncs {
			topic = TopicAll
		}
	}
	if st := s.topics[topic]; st != nil {
		return st
	}
	if s.topics == nil {
		s.topics = make(map[string]*syncState)
	}
	st := &syncState{at: now}
	s.topics[topic] = st
	return st
}

// forget removes topics that are as good as new.
func (s *syncs) forget(now time.Time) {
	for topic, st := range s.topics {
		if !st.pending && !st.at.After(now) {
			delete(s.topics, topic)
		}
	}
}

// next returns when the next pending sync is due, if there is one.
func (s *syncs) next() (at time.Time, some bool) {
	if s.pending == 0 {
		return at, false
	}
	for _, st := range s.topics {
		if st.pending && (!some || st.at.Before(at)) {
			at, some = st.at, true
		}
	}
	return at, some
}

// take returns the topics whose sync is due, and counts them as told now.
func (s *syncs) take(now time.Time) (due []string) {
	for topic, st := range s.topics {
		if st.pending && !st.at.After(now) {
			st.pending, st.at = false, now.Add(syncInterval)
			s.pending--
			due = append(due, topic)
		}
	}
	return due
}

// again makes a sync pending that was taken and could not be published.
func (s *syncs) again(topic string) {
	if st := s.topics[topic]; !st.pending {
		st.pending = true
		s.pending++
	}
}
