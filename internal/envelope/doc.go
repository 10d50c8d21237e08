// Package envelope reads and writes the body of an event: the second frame of
// the ZeroMQ wire, a msgpack map.
//
// # The bytes
//
//	85                      map of 5; 6 with version, 7 with epoch and seq, 8 with all
//	a5 "table"   text|nil   the five keys of Dragonflow, in this order when we write
//	a3 "key"     text|nil
//	a6 "action"  text       never nil, never empty
//	a5 "value"   text|nil
//	a5 "topic"   text|nil
//	a5 "epoch"   cf uint64  ours: always fixed width, always together, 28 bytes
//	a3 "seq"     cf uint64
//	a7 "version" uint       when known, in its shortest form
//
// Text is UTF-8 in a str token of the shortest form. What is read is wider:
// keys in any order, text in fixstr, str 8/16/32 and bin 8/16/32 (peers of the
// first generation write raw 16 where newer ones write str 8), integers in any
// non-negative form, and keys that this version does not know.
//
// # Who writes what
//
//	worker                 service                    node
//	  |  table..topic        |                          |
//	  |  [version]           |                          |
//	  |---- Append --------->|  drops a forged epoch    |
//	  |                      |  or seq, writes its own  |
//	  |                      |---- Renumber ----------->|
//	  |                      |                          | Decode, or any msgpack
//
// Nodes are also Dragonflow's own, in Python: they unpack the whole body and
// read it by key. So [Renumber] lets nothing pass that would make that unpacker
// raise, even inside values that we skip: invalid UTF-8 in a str token, a map
// key that is not a string, an ext token with a negative type, a timestamp of a
// wrong length or with a second's worth of nanoseconds.
//
// # Upgrade rule
//
// A new key may be added after ours. Older versions skip it in [Decode] and
// hand it on untouched in [Renumber], provided that its name is a string and
// its value nests at most [MaxDepth] deep. The meaning of a known key never
// changes.
//
// # Concurrency
//
// Everything here is a function of its arguments; nothing blocks. A body is
// only read, and not kept: the caller owns it before and after.
//
// # Errors
//
// Every error is an [Error]. One is returned exactly when the body is
// malformed; it costs one allocation of 16 bytes, whatever the body's size, and
// its text contains none of the body's bytes.
package envelope
