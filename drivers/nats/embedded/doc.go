// Package embedded is the driver nats with the server in the publisher's process:
// for one machine, for tests, and for services that want to be their own broker.
//
// # Usage
//
// Its alias is "nats_embedded", on the network hop. A publisher runs a server at
// Config.BindAddress and Port; subscribers connect to each publisher's URI,
// tcp://host:port or nats://host:port, as they do with the driver zmq. So a
// configuration with publishers_ips and publisher_port works as it is.
//
// Servers of several services form a cluster where cluster_name is set: each
// listens at cluster_listen for the others and needs to know, in routes, one that
// is there. Then a subscriber that is connected to several of them gets an event
// from each; the core removes what comes twice, by number. In a cluster one URI
// is enough. Servers log in with one another as clients do, by user and password or
// token, and encrypt where there is a certificate: so all need the same.
//
// [Start] runs a server without the driver. [Driver] implements driver.Starter,
// which lets `wyvern demo` run on NATS with nothing installed.
//
// # Delivery
//
// As on plain subjects, see package nats. Flush also waits until the server has
// written everything to the sockets of its clients, but not for longer than a
// second for those that take nothing.
//
// # Concurrency
//
// The server has goroutines of its own. Close waits for their end.
//
// # Errors
//
// A port in use, a cluster address that can't be understood, and options that
// make no sense are errors of Open.
//
// # Dependencies
//
// github.com/nats-io/nats-server/v2 is the server itself.
package embedded
