// Package workload makes the changes that a cloud makes to its network
// database: an endless stream, realistic in shape and size, the same for the
// same seed.
//
// # Usage
//
//	g := workload.New(1, workload.Options{Workers: 4})
//	for {
//		worker, change := g.Next()
//		...
//	}
//
// # The stream
//
// It begins with the creation of every chassis. Then each tenant lives through
// its rounds, interleaved with the others: security groups, networks with
// their subnets, a router and ports are created in dependency order; ports are
// bound, moved between chassis, renamed, switched off and on, added; and at the
// end of some rounds everything is deleted in reverse and the tenant begins
// anew with new objects. Changes of a tenant's objects are on the tenant's
// topic, those of chassis on [Everyone].
//
// The version of an object is 1 when it is created and rises by one with every
// change; its deletion counts as one. Keys are never used again.
//
// Any worker makes any change, as API servers behind a load balancer do. So
// two changes of one object may leave from two processes, and overtake each
// other on the way: whoever holds the objects has to keep the highest version
// of each, and to remember what was deleted. (Giving each object a worker of
// its own would have hidden that.) The order of Next is the one in which the
// database took the changes.
//
// # Concurrency
//
// A Generator belongs to one goroutine. Processes that share a stream each run
// a generator of the same seed and options, and take the changes of their own
// worker.
package workload
