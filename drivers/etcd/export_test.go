package etcd

import "github.com/wyvern-pubsub/wyvern/driver"

// Positions returns the next revision wanted of each topic that is held.
func Positions(sub driver.Subscriber) map[string]int64 {
	s := sub.(*subscriber)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]int64)
	for w := range s.heldLocked {
		next[string(w.topic)] = w.next
	}
	return next
}

// Fragments returns how many responses were a piece of one.
func Fragments(sub driver.Subscriber) int {
	s := sub.(*subscriber)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fragments
}

// Watching says whether every topic that is held is watched.
func Watching(sub driver.Subscriber) bool {
	s := sub.(*subscriber)
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.heldLocked {
		if !w.created {
			return false
		}
	}
	return true
}
