// Package zmtp is the codec of ZMTP 3.1, the wire protocol of ZeroMQ: greeting, handshake, frames, commands,
// subscriptions and heartbeats, as pure code.
//
// The sources of its rules are ZeroMQ RFC 37 (ZMTP 3.1), RFC 23 (ZMTP 3.0) and, for telling old peers from garbage, RFC
// 15 (ZMTP 2.0) and RFC 13 (ZMTP 1.0). Where those leave a choice, libzmq is the judge.
//
// # Usage
//
// A [Handshake] takes a new connection up to its first byte of traffic: send what Start returns, feed what arrives to
// Input, send what Input returns, until Done. From then on [ParseFrame] cuts the stream into frames; [ParseSubscription],
// [ParseCommand] and [ParsePing] say what a frame means; the Append functions write. Everything appends to a slice that the
// caller owns, and every parsed slice aliases the caller's input.
//
// # Sequence
//
// The peer that binds is the server, as-server in the configuration.
//
//	client (connects)                                  server (binds)
//	   | greeting, 64 bytes ------------------------------> |
//	   | <------------------------------ greeting, 64 bytes |    neither waits for the other
//	   | READY Socket-Type=SUB ---------------------------> |
//	   | <--------------------------- READY Socket-Type=PUB |    or ERROR reason, and the end
//	   | SUBSCRIBE topic ---------------------------------> |
//	   | <--------------------- message: topic frame, body  |
//	   | PING ttl context --------------------------------> |    either side, at any time
//	   | <------------------------------------ PONG context |
//
// A libzmq server does not wait for the client's READY. Both orders are accepted on both sides.
//
// # Bytes
//
//	greeting   FF  pad(8)  7F  major  minor  mechanism(20, zero padded)  as-server  zero(31)
//	frame      flags  size(1)  body            body of 0 to 255 bytes
//	           flags  size(8, big endian) body flags has LONG
//	flags      01 MORE   02 LONG   04 COMMAND (never with MORE); the others are zero
//	command    length(1)  name(letters)  data, as the body of a command frame
//	READY      { length(1)  name  length(4)  value }
//	ERROR      length(1)  reason
//	SUBSCRIBE  topic      CANCEL  topic
//	PING       ttl(2, tenths of a second)  context(0 to 16)      PONG  context
//
// The 8 bytes after FF carry no meaning and may hold anything; libzmq puts a length there that ZMTP 1.0 peers understand.
//
// # Upgrades
//
// Every peer speaks its own version to an equal or newer one, and the newer side steps down. So:
//
//   - major above 3 is accepted and reported as 3.1: the peer is the one who steps down;
//   - 3.1 and above: subscriptions are commands. The zero filler is only checked up to 3.1, because a later version may
//     give it a meaning;
//   - 3.0: subscriptions are messages, one frame of 01 or 00 and the topic, and there is no PING. Answer one all the
//     same: libzmq sends it whatever its peer announced. [AppendSubscribe] takes the peer's minor for this,
//     [ParseSubscription] reads both forms from everybody;
//   - 2.0 and 1.0 are recognised and refused with [KindVersion], which names the version that the peer spoke. They have
//     neither mechanisms nor properties, so accepting them would be the downgrade that RFC 37 warns of;
//   - unknown properties are kept and otherwise ignored; unknown commands are for the caller to ignore.
//
// # Concurrency
//
// No function does I/O, reads a clock, starts a goroutine, locks, or blocks. A Handshake belongs to one connection and to
// one caller at a time; everything else is stateless and may run concurrently.
//
// # Errors
//
// Every byte stream ends in a result or in a [*ProtocolError]; no input of a peer panics. Memory that a peer can claim is
// bounded by what the caller passes: MaxCommand for a handshake, limit for a frame, both checked before anything is
// allocated, and [MaxProperties]. Panics are for a caller's own mistakes, such as a command name with a digit in it.
package zmtp
