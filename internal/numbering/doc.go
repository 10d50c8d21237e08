// Package numbering gives the events of each topic their numbers, keeps what it
// remembers of topics within a quota, and says when which topic's last number is
// to be said again by a beacon. It is the publisher's protocol core, the same
// whatever the driver.
//
// # Usage
//
// For each event: Find or Begin its topic's Series, Give it a number, and TakeBack
// what the driver did not accept. Where beacons are wanted, Accepted notes what it
// did; call Advance every Tick, and then Beacon until it says no.
//
// # Quota
//
// A Book remembers two generations of topics. Whatever is used moves to the
// younger one; when that is full, the older one is forgotten. So the topics that
// were quiet for longest go, without a list that every event would have to
// reorder. A new series begins above every number that was ever forgotten: who
// holds a topic that was, and missed its last event, sees a gap.
//
// # Concurrency
//
// A Book is a state machine without I/O, goroutines, locks or a clock. Its owner
// has it under a lock.
package numbering
