// Package etcd is the driver for an etcd cluster as the broker: publishers write
// an event under the key of its topic, and subscribers watch the keys of theirs.
//
// # Usage
//
// Its aliases are "etcd" and Dragonflow's "etcd_pubsub_driver", on the network
// hop. The options are in section [wyvern_etcd]: the cluster's members
// (servers; default: Dragonflow's remote_db_hosts), user and password, TLS, the
// prefix of the keys. The user needs read and write permission on the prefix, or
// to read on the keys of the topics it holds.
//
//	/pubsub/<topic>   the payload, exactly as the core gives it
//
// These are the keys of Dragonflow's etcd_pubsub_driver, and its peers' events
// arrive here as ours do there. Its peers see more keys than they know:
// /pubsub/wyvern:beats, which none of them watches, and on the topics that they do
// watch our beacons, ordinary bodies with the action "beacon" and without a
// table, for which their controller logs a line and does nothing. A key that is
// deleted is no event. Every key below the prefix is a topic: where the prefix of
// one site begins that of another, as /pubsub/a and /pubsub/ab do, a topic of the
// one may be a topic of the other. What others write under such a key is passed up whatever
// it is: the core counts what is no event.
//
// # Delivery
//
// Publish returns when a majority of the members has the event. It has no queue
// of its own. A batch is cut into transactions of up to 128 keys and a megabyte,
// up to 8 of them under way at once; those with the same topic follow one another,
// because a transaction can't write a key twice, and requests that are under way
// at once overtake each other. So a batch of many topics is fast, and events of
// one topic take a round trip and a write to disk each. Whatever servers don't
// answer, or can't do now, is tried again until the context ends. Then it
// waits a second more for answers, and what is still open is
// driver.ErrUnsure. What a server refuses is an error at once: a permission, which
// is driver.ErrRefused, a full database, a payload above --max-request-bytes
// (1.5 MiB, of which the key takes its part).
//
// Subscribe asks the cluster for its revision, by a read that a majority
// confirms, and whatever is written after that is received, by whatever server
// and whenever that is watched. While others write, the first events may come up
// to 100 ms late, which is how often a server looks at watches that begin in the
// past.
//
// All watches of a subscriber are on one stream, which two goroutines serve, and
// each is followed from a revision: two quick events of a topic both arrive, and
// when the stream is made again (a server ended or has no leader, the connection
// was cut, a log-in expired) each watch goes on at its next event. Quiet topics
// advance by progress notifications, every progress_interval; one is believed
// only for watches that the server had made before, and only from servers that
// let none overtake an event (3.4.25, 3.5.8 and later). When the history is
// compacted past where a watch was, what the topic missed is told as Behind, and
// the watch goes on at the first revision that is left. When the cluster has
// another history than before (a restored backup, a database made anew),
// everything that is held is told as Gap.
//
// A subscriber that nobody receives from stops reading its stream when Queue
// bytes wait. It then holds them, one response more (about 1.5 MiB, or one
// event), and what connections buffer, 2 MiB. The server keeps the rest in its
// history: nothing is lost until that is compacted. Notices are bounded apart from
// that.
//
// So it is Persistent, Resumes, Filters and Confirms, and is not Lossy: what is
// accepted is durable, and a compaction is told. It is OrderedByTopic, also over
// reconnects, and no more: events of several topics may swap places when they were
// written in one transaction or when watches catch up. It has no
// Liveness and does not Identify: the core's beats see to that. Its MaxPayload is
// the servers' option, not a limit of its own.
//
// # Cost
//
// A beat is a write, every second and for every publisher: 86,400 revisions a
// day, about 300 bytes each on every member's disk, and a message to each
// subscriber. Beacons add up to four writes per topic that falls quiet, and one a
// minute. etcd keeps every revision until it is compacted, and stops taking writes
// when its quota is used up: auto-compaction must be on
// (--auto-compaction-retention), with a window longer than a subscriber may be
// away without a resync: minutes, not seconds.
//
// Why one stream with a watch per topic, and not the client's own watches: to
// hold 5,000 topics takes a process 1.5 MiB, 9 goroutines, gRPC's included, and
// 0.25 s; clientv3.Watch for each of them, which shares a stream as well, 29 MiB,
// 10,009 goroutines and 1.1 s (go test -bench Hold). One watch of the prefix costs
// next to nothing to hold, and brings every event of the site to every node, to
// be dropped there.
//
// # Concurrency
//
// A mutex guards a subscriber's watches, and another one its inbox, which is a
// leaf. No lock is held over a request. Each half has a connection of its own.
//
// # Errors
//
// Open fails when no server answers within HandshakeTimeout, at once when all
// refuse, and says why: each cause has a hint. Afterwards what goes wrong with
// the cluster is logged, at a bounded rate, and tried again for ever. A topic that
// the user may not read is an error of Subscribe; it stays held, and is told as
// Confirmed if that changes.
package etcd
