// Package wyvern moves events of a network control plane from the servers that
// change its database to the nodes that follow it, by publish-subscribe over
// any [github.com/wyvern-pubsub/wyvern/driver.Driver].
//
// # Usage
//
// Import the drivers that the program should know, or drivers/all, and open one
// by its alias:
//
//	pub, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{Alias: "mem", Config: driver.Config{Socket: "server-1"}})
//	...
//	sub, err := wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
//		Alias:   "mem",
//		Topics:  []string{"project-1", wyvern.TopicAll},
//		Connect: []string{"mem://server-1"},
//		Handler: func(ctx context.Context, e wyvern.Event) error { return apply(e) },
//	})
//	...
//	err = pub.Publish(ctx, wyvern.Event{Table: "lport", Key: id, Action: wyvern.ActionSet, Value: text, Topic: "project-1"})
//
// A worker opens a publisher on the IPC hop; the publisher service of its
// server moves what all workers publish to the network with a [Relay]; a node
// opens a subscriber and connects it to every service.
//
// # Delivery
//
// A publisher numbers the events of each topic in the order in which its driver
// accepted them. A subscriber's handler gets the events of the topics that it
// holds, matched by equality, one at a time, in the order in which the driver
// delivers them. What a driver promises of that order, and whether it loses
// events, is in its Capabilities.
//
// When the subscriber knows that the handler missed something of a topic, it
// calls it with an [Event] of action [ActionSync] and a [Reason]: read from the
// database what you follow of that topic. In this version it knows so of
// events that were malformed or that the handler failed on; gaps in the numbers
// are left to the handler.
//
// # Concurrency
//
// Every method may be called by any goroutine at any time. Close and Shutdown
// wait for what they stop; called by the handler itself, they can't, and don't.
//
// # Errors
//
// Every error is an [*Error], which says what failed, of which driver, and wraps
// the cause once. Compare with [ErrClosed], [ErrTooLarge], [ErrInvalidEvent],
// [ErrNotSupported] and the errors of context.
package wyvern
