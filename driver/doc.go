// Package driver is the plug-in boundary: what a mechanism of
// publish-subscribe has to do, and nothing else.
//
// A driver moves opaque payloads by topic. The envelope, sequence numbers,
// loss detection, retries and metrics live in package wyvern, once, whatever
// the driver. Read drivers/mem first: it is the shortest correct driver. Run
// the suite in drivertest against yours.
//
// # Usage
//
// A driver registers itself under one or more aliases, by which a
// configuration chooses it:
//
//	func init() {
//		driver.Register(driver.Alias{
//			Name:    "mem",
//			Network: driver.Part{Driver: Driver{}, Roles: driver.Publishes | driver.Subscribes},
//		})
//	}
//
// # Hops and roles
//
// Events cross two hops: IPC, from the workers of a server to its publisher
// service, and Network, from the services to every node. On each hop a driver
// plays two roles, publisher and subscriber. Which side binds an address, and
// whether anybody does, is the driver's business: see [Capabilities.Binds].
//
// # Concurrency
//
// The core calls Publish of one publisher, and Receive of one subscriber, from
// one goroutine at a time. Everything else may be called at any time from any
// goroutine, and Close wakes whoever is blocked.
//
// # Errors
//
// Drivers return raw errors, lower case and without their own name; the core
// wraps once. After Close every method returns [ErrClosed].
package driver
