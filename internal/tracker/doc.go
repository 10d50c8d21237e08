// Package tracker decides what a subscriber may believe: whether an event is the
// next of its topic, one that was seen already, or one before which others are
// missing; and what is to be resynced when. It is the subscriber's protocol
// core, the same whatever the driver.
//
// # Usage
//
// One Tracker per subscriber session, one [Topic] per topic that is held; a
// topic that is dropped and held again is another Topic. The owner passes in
// what it receives, and does what comes back: deliver, drop, or tell the
// handler to resync. Resyncs that are due later are collected with Due.
//
// # Delivery
//
// A resync is a state of a topic and a publisher. It ends only when the owner
// has told the handler, and the handler has not failed. While a covering resync
// is due, events are not delivered: what the handler reads when it is told is
// not older than they are.
//
// # Concurrency
//
// A Tracker is a state machine without I/O, goroutines, locks or a clock: the
// time is an argument, chance a seed. One goroutine uses it; only Topic.Drop
// and Topic.Dropped may be called by any.
package tracker
