// Package demo runs the whole system on one machine and judges it: processes
// that are workers, one that is the publisher service, and processes that are
// nodes. `wyvern demo` is its command line.
//
//	worker 1 --+                             +--> node 1
//	worker 2 --+-- IPC --> serve -- network -+--> node 2
//	  ...      |                             |      ...
//	worker N --+                             +--> node M
//
// The workers publish the stream of package workload: all of them generate it,
// each publishes the changes that are its own. Every node holds the topic D and
// some tenants' topics, and keeps the highest version of each object. In the
// end the workers tell what they published, the nodes what they hold, and the
// verdict is whether the two are the same.
//
// # Processes
//
// The parent, [Run], starts its own binary for every child and talks with it
// by lines of JSON, see [Command] and [Message]: commands to the child's
// standard input, messages from its standard output. A child ends when its
// standard input does, so none outlives its parent. What it prints on standard
// error is kept for the case that it fails.
//
// # The verdict
//
// It rests on nothing that the system itself counts: the digest of a topic is
// made of every object's table, key, version and value. A node that was told
// that it missed something (RESYNC) would read the database; the demo has none,
// so such a node shows up as one that differs.
package demo
