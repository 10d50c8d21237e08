// Package nats is the driver for NATS, on plain subjects or on a JetStream
// stream. Package embedded has the same with the server in the process.
//
// # Usage
//
// Its aliases are "nats" and "nats_jetstream", both roles, on the network hop.
// Options are in [Options], servers in Config.Servers.
//
// A topic is one token below a prefix:
//
//	subject = prefix "." token
//	token   = 1*( letter / digit / "-" / "_" / ":" / "%" 2HEX )
//
// Letters and digits are those of ASCII; each other byte of the topic is % and
// two upper-case hexadecimal digits, so that there is exactly one subject for
// each topic, and no wildcard, separator or space in it. A subject that is
// written in any other way is no topic's. The topic "a.b" is wyvern.a%2Eb. The
// longest topic, 255 bytes, needs 765.
//
// Both kinds use the same subjects: what is published on plain subjects is kept
// by a stream that takes them, too.
//
// # Delivery on plain subjects
//
// Lossy, ordered, nothing is kept. Publish accepts into a queue of Config.Queue
// bytes, and blocks while that is full. A message leaves the queue when a server
// has confirmed, by the answer to a PING, that it took it in; what was sent on a
// connection that broke before goes again on the next one, so a message may come
// twice (the core knows it by its number) but none is lost between here and the
// server, while this process lives. Flush waits for that confirmation.
//
// A server answers a message that it does not permit a moment later, and no other.
// So the first message of a topic on each connection is accepted only when that
// moment, one PING, has passed; then a refusal is driver.ErrRefused. What a server
// comes to refuse later, or to find too large, may be lost after it was accepted:
// the next message is refused at the call, and so is the core's next beacon, upon
// which it tells everybody; what was too large is missing by number.
//
// The server hands a message to whoever is subscribed at that moment, and to
// nobody later. A subscriber whose connection was made again gets a Gap about all
// topics, once its subscriptions are in force. A server drops the connection of a
// client that does not read (write_deadline, max_pending), with the same result.
// Subscribe returns when the server that we are connected to has the
// subscription. In a cluster the others learn of it a moment later: a publisher
// there may be early, which the core finds out by number. What the server does not
// let us have, for lack of permission or past max_subscriptions, is an error of
// Subscribe. It is held nevertheless, asked for again every Config.ReconnectMax,
// and told as Gap each time, or as Confirmed at last. So it is when a permission
// is taken away.
//
// Messages wait in an inbox of inbox_bytes for a reader that is slow. When it is
// full the older half goes, and a Behind for each topic concerned comes in its
// place. Besides, up to 1024 messages may be between the client library and the
// inbox, where they stay for no longer than it takes to move them.
//
// # Delivery on a stream
//
// Ordered, persistent, and resumed. Publish returns when the stream has stored
// the messages; up to 512 are on their way at a time. Where an answer is missing
// or bad, everything from the first unanswered message on is sent again under
// the same Nats-Msg-Id, so that the stream stores it once (within two minutes;
// later the core's numbers tell). Nothing is sent after a failure before that, so
// the order holds on any one connection; only when a stream changes its leader
// while a window is on its way a later message may be stored before an earlier
// one, which the core tells as a gap.
//
// A subscriber has one ephemeral consumer, without acknowledgements, that selects
// its topics (past 1000 of them it gets all and selects itself). The consumer is
// a means only: what counts is the place in the stream of the last message
// received, from which the next consumer goes on after a reconnect, when an
// operator deleted it, when a message is missing in its count, or when it gives no
// sign of life for Config.HeartbeatTimeout and one interval. On one server a change
// of topics changes the consumer; where the stream has replicas it makes a new one. A topic is received
// from where the stream stood when Subscribe was called, also when an older place
// is resumed. It asks for at most half an inbox at a time, and only while the
// other half is free: so a reader that is slow costs nothing but time. What the
// stream's limits drop meanwhile is told as Behind, to all topics. Where there is
// no consumer for us, by permission or a limit, Subscribe returns an error; the
// topic is held, and told as Confirmed when there is one.
//
// The stream is created where it is missing (stream_create), by whoever finds
// out first: a publisher or a subscriber. If it was deleted, or lost its end in a
// crash of its servers, subscribers get a Gap and go on. Besides events, it keeps
// what the core sends on such drivers: a beat a second of each publisher, and
// beacons.
//
// When a cluster elects a new leader for a stream, Publish waits: some seconds,
// at the server's defaults up to ten. Beats wait too, so that subscribers may be
// told that the publisher is lost.
//
// # Concurrency
//
// A goroutine keeps each connection; a subscriber has another one that moves
// messages, a plain one a third that asks again for what was refused, a plain
// publisher two that send and confirm. The client library has
// four of its own for each connection, none for a subscription. A message that
// is received is not copied.
//
// # Errors
//
// Open fails when no server answers, within Config.HandshakeTimeout; when one
// refuses us; when the two sides don't agree on TLS; when JetStream is missing or
// the stream is of no use. Each error has a hint. Later the same is logged and
// tried again, for ever. A payload that is larger than the server's max_payload,
// which counts the header, is ErrTooLarge at the call.
//
// # Dependencies
//
// github.com/nats-io/nats.go is the official client; no other one speaks all of
// the protocol.
package nats
