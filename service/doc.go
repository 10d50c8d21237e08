// Package service is the publisher service of a server as a library: it takes
// the events of the server's workers over the IPC hop, numbers them, and
// publishes them on the network hop. `wyvern serve` is this package with a
// configuration.
//
// # Usage
//
//	err := service.Run(ctx, service.Config{
//		ID:      "api-1",
//		Network: service.Hop{Alias: "zmq_pubsub_driver", Config: driver.Config{Port: 8866}},
//		IPC:     service.Hop{Alias: "zmq_pubsub_multiproc_driver", Config: driver.Config{Socket: path}},
//	})
//
// # Delivery
//
// The end of ctx is the order to stop, and stopping is a script: workers are
// refused, what they had sent is relayed, what was published is sent to the
// nodes, and then everything is closed. [Run] returns nil only when nothing
// was left behind at that.
//
// # Concurrency
//
// Run blocks. Several services may run in one process if they have different
// sockets and ports.
//
// # Errors
//
// What is wrong with the options, or with the place where the service should
// bind, is an error before [Config.Ready] is called. The drivers' hints are
// kept: use errors.As with *driver.HintError.
package service
