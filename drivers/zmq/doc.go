// Package zmq is the reference driver: the ZeroMQ wire (ZMTP 3.1), so that
// unmodified ZeroMQ programs, above all Dragonflow's workers and nodes, work on
// either side.
//
// # Usage
//
// On the network hop ([Network]) the publisher binds
// <publisher_transport>://<publisher_bind_address>:<publisher_port> and serves
// SUB peers; a subscriber connects to any number of publishers. On the IPC hop
// ([IPC]) the service binds a unix socket as PULL and workers connect to it as
// PUSH. Transports: tcp and ipc.
//
//	alias                         network                 ipc
//	zmq                           publisher, subscriber   publisher, subscriber
//	zmq_pubsub_driver             publisher, subscriber   publisher
//	zmq_bind_pubsub_driver        publisher               subscriber
//	zmq_pubsub_multiproc_driver   -                       publisher, subscriber
//
// # Wire
//
// A message is two frames, topic and payload. Towards a peer that is not ours
// everything is plain ZMTP; our own peers recognise one another by the property
// X-Wyvern in READY, and then subscriptions mean equality. Towards others they
// are the prefixes of ZeroMQ.
//
// A subscription is confirmed by a PING that follows it and comes back.
//
// # Delivery
//
// The publisher sends from one shared log (package internal/fanlog). A
// subscriber that reads too slowly falls out of the log's retention, is told so
// in its stream and goes on at the head; it delays nobody and costs no memory.
// A worker's events wait in its bounded queue while the service is absent; what
// a service that was killed had not read is lost.
//
// # Admission
//
// A process may connect to the IPC socket if its user is the service's own,
// root, or among Config.AllowUsers; the kernel says which it is. Modes of
// directory and socket follow from that where this package creates them.
//
// A connection that has not introduced itself makes room for others when there
// are too many, of its origin (an address, a user) or in all; of those that have,
// one address has at most Config.MaxPerAddress.
//
// # Concurrency
//
// Connections of subscribers to a publisher live on its few loops. Every other
// connection has two goroutines, one that reads and one that writes. Close
// waits for all of them.
//
// # Errors
//
// A peer that violates the protocol is disconnected and logged, at a bounded
// rate; a message that has not two frames is counted, logged and skipped.
package zmq
