// Package tcpfan is a driver outside of Wyvern's repository: a module of its
// own, that a program links like any other. It is here to be copied.
//
// # Usage
//
// Its alias is "tcpfan", on the network hop. Publishers bind BindAddress and
// Port; subscribers Connect("tcp://host:port"). cmd/wyvern-tcpfan is the program
// wyvern with this driver:
//
//	wyvern-tcpfan serve --set df.pub_sub_driver=tcpfan
//
// # Delivery
//
// Ordered, and lossy: each subscriber has a queue of Config.Queue bytes at the
// publisher, and what does not fit is dropped for that subscriber. So nobody holds
// up others. The driver need not tell: it says Lossy, so the core sends beacons,
// and finds what is missing by number. It only tells of connections that were made
// again, because it knows.
//
// On the wire both sides send frames: a kind, the length of the topic (1 byte)
// and of the payload (4 bytes, big-endian), topic, payload.
//
//	S topic            subscriber: I hold it
//	U topic            subscriber: no more
//	M topic payload    publisher
//
// # Concurrency
//
// A publisher has a goroutine that accepts, and two for each subscriber; a
// subscriber has one for each publisher, and another while that is connected.
//
// # Errors
//
// A peer that sends what makes no sense, or more than Config allows, is
// disconnected, with a log line.
package tcpfan
