// Package mem is the driver for publishers and subscribers in one process, and
// the shortest correct driver: read it before you write one.
//
// # Usage
//
// Its alias is "mem", on both hops. Addresses are names in a [Hub]: of the
// package's own hub, or of the one in [Driver], so that tests don't meet one
// another.
//
//	network   Config.Socket: the publisher's name; default: a free one
//	          Connect("mem://name"): the publisher, there already or not
//	ipc       Config.Socket: where one subscriber, the service, takes
//	          what any number of publishers, its workers, send
//
// # Delivery
//
// Ordered, and nothing is lost: a subscriber's queue is bounded by the
// publisher's Config.Queue, and Publish blocks while one of the queues that a
// message must go to has no room for it. So a slow subscriber stops its
// publishers; drivers that must not let it do so are for processes that don't
// trust one another. On the IPC hop Publish blocks too while there is no
// subscriber. A message larger than Queue goes into an empty queue.
//
// What waits in the queue of a subscriber that is closed is dropped. Drain one
// on the IPC hop first: its publishers then block until the next subscriber.
//
// # Concurrency
//
// One mutex per hub guards everything. Payloads are copied once, on Publish.
//
// # Errors
//
// A name that is in use, a URI of another scheme and an unknown parameter are
// errors with a hint.
package mem
