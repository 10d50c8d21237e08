// Package redis is the driver for Redis: Pub/Sub, as Dragonflow's own Redis
// driver uses it, and Streams, which keep events. Redis may be one server, a
// master that Sentinels watch, or a cluster.
//
// # Usage
//
// The aliases "redis" and "redis_db_pubsub_driver" are Pub/Sub, "redis_streams" is
// Streams; both roles, on the network hop. Options are those of the section
// wyvern_redis; `wyvern drivers` prints them. Servers of Config.Servers are
// host:port, redis:// or, for TLS, rediss:// URLs.
//
// With Pub/Sub a topic's channel has its name, and the payload is the message, so
// Dragonflow's peers understand it and are understood. They also get what they do
// not know, as bodies of the usual keys: beacons on a topic's channel, with the
// action "beacon" and neither table nor key. A Dragonflow controller logs a warning
// for each and does nothing else: "Unknown action beacon for table None" until June
// 2017, "Unfamiliar update" since. Beats are on the channel wyvern:beats, to which it
// does not subscribe. The channel named redis is Dragonflow's own, for news of the
// cluster's nodes: no topic should have that name where its peers are.
//
// With Streams an event is an entry, with the payload in the field "e", of the
// stream with the key
//
//	stream_prefix "{" bucket "}" topic
//
// where bucket is the FNV-1a hash of the topic, 32 bits, modulo 16: in a cluster
// what is in braces decides on the slot, so that topics are spread over 16 slots
// and one command reads all of a slot.
//
// # Delivery by Pub/Sub
//
// Lossy, ordered, nothing is kept. Publish returns when the server has answered:
// it has passed the message on to whoever was subscribed then. What had no
// answer when a connection broke is sent again, in order, until the caller's
// context ends; so a message may come twice, which the core knows by its number.
//
// A subscriber whose connection ended gets, when its subscriptions are in force
// again, a Gap about all topics; a Behind if its application had not been reading,
// since a server ends the connection of a client whose output buffer is full
// (client-output-buffer-limit pubsub). A subscription that is refused, by an ACL
// for instance, is an error of Subscribe; later it is a Gap about the topic, at
// each new attempt.
//
// In a cluster what one node is told it passes on to all others, over links that
// may break without a word to anybody. The core finds the loss by number.
//
// # Delivery by Streams
//
// Persistent and resumed; each topic in order, not what came on several. Publish
// returns when the master has the entries. It is not told of replicas: Redis
// copies to them later, so a fail-over can lose the newest entries of a stream,
// though they were accepted. The subscriber compares the number of entries ever
// added, and the newest ID, with what it has read, after each trouble and now and
// then, and tells a Gap about a topic whose stream was removed, flushed or is an
// older state; a Behind if entries were trimmed that it had not read. What it can't
// see, because other entries took the place of those lost, the core finds by
// number.
//
// A stream keeps stream_length entries, or those of stream_age, and some more:
// trimming is approximate. One without a new event for stream_expire goes away.
// A topic is received from where its stream stood when Subscribe was called. All
// topics at once can't be read.
//
// # Fail-over
//
// Both find the new master by the Sentinels, all of which are asked, once in a
// heartbeat timeout and whenever a connection ends; in a cluster by asking nodes,
// and by what the answers to commands say. How long it takes is Redis's to decide
// (down-after-milliseconds, cluster-node-timeout). Until then Publish blocks. Beats
// wait too, so subscribers may be told that publishers are lost.
//
// # Concurrency
//
// All methods are safe for concurrent use. A publisher has a connection to each
// master, and one batch at a time on its way. A subscriber of Pub/Sub has one
// connection; of Streams two, in a cluster two for each bucket that it has topics
// in. What waits for the application is bounded: by 1 MiB, or one message if that
// is larger. Then no more is read from the connection. Notices are bounded apart
// from that.
//
// # Errors
//
// Open fails when no server answers, within Config.HandshakeTimeout; when one
// refuses us; when the two sides don't agree on TLS; when the servers are not what
// mode says. Each error has a hint. Later the same is logged and tried again, for
// ever. A payload that is larger than the server's proto-max-bulk-len is
// driver.ErrTooLarge, at the call, if the server tells us its limit; else when the
// server has refused it. A topic that the user may not publish on, or of which the
// key is no stream, is driver.ErrRefused.
//
// # Dependencies
//
// github.com/redis/go-redis/v9 is the client of Redis's makers. The other one that
// was considered, rueidis, is faster where many goroutines share a connection, but
// pipelines and reconnects on its own account; here a connection that was lost
// must be known, and batches are made already.
package redis
