// Package eventloop tells which of many non-blocking descriptors are ready,
// so that one goroutine can serve thousands of connections.
//
// Go's own poller wakes a goroutine per descriptor. A publisher that sends one
// event to a thousand idle connections would wake a thousand goroutines, which
// costs about as much again as the writes. Package fanlog therefore reads and
// writes from a few loops, each with a Poller of its own: epoll on Linux,
// kqueue on darwin, both edge-triggered.
//
// # Usage
//
// Add a descriptor, Wait, and read or write what was reported until the system
// says EAGAIN: an edge is told once. Wake, from another goroutine, makes Wait
// return without an event.
//
// # Concurrency
//
// One goroutine owns a Poller: Add, Remove, Wait and Close are its own. Wake
// alone may be called from anywhere, at any time, even during and after Close.
//
// # Errors
//
// They are those of the system, with a word on what was tried. An interrupted
// Wait is none: it returns early.
package eventloop

// Event says what a descriptor became ready for since the last one. Hangups
// and errors are reported as both: the read or write that follows finds out.
type Event struct {
	FD       int
	Readable bool
	Writable bool
}
