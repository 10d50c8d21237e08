// Package inbox holds what a driver has received and Receive has not yet handed
// out: bounded in bytes, so that an application that is slow holds up whoever
// reads from the network and not the memory of the process.
//
// # Usage
//
//	in := inbox.New(1 << 20)
//
//	waited, err := in.Put(ctx, m) // one by one: waits until there is room
//
//	in.Add(msgs...)               // all of a response, past the limit
//	err := in.Wait(ctx)           // before the next one
//
//	in.Tell(driver.Gap, topic, source)
//
//	n, err := in.Receive(ctx, dst) // as driver.Subscriber has it
//
// A message counts with its topic, its payload and [Overhead]. One that is larger
// than the limit goes into an empty inbox. Those who wait are let in in the order
// in which they came, so that a large message is not overtaken for ever by small
// ones: Put when half of the inbox is free, so that it is not woken for each
// message that is taken, and Wait, which is for whoever brings many, when it is
// below its limit.
//
// # Notices
//
// A notice has its place among the messages, and to add one never waits: whoever
// does so holds locks, and what it says must not get lost. They don't count
// towards the limit. A connection that is made again and again while nobody
// receives must not fill the memory either, so they have bounds of their own:
//
//   - One that is already there is not added again: of the same kind, topic and
//     publisher, and with no message of that topic behind it. Nothing is handed
//     out between the two, so they say the same. With a message in between they
//     don't: what was lost behind it was not told before it, and the core takes
//     only the first number behind a notice for one that may jump. So there are
//     at most as many notices of a kind as there are topics and messages.
//   - Topics come and go. When [MaxNotices] wait, further ones are about every
//     topic instead of one, of a kind one for each message. That says more than is
//     true, never less: whatever the kind, the core resyncs each topic that is
//     held. That holds for Confirmed, too: a topic that is not yet in force then
//     is told again when it is.
//
// Those that wait stay where they are, and are not gathered in one that is about
// every topic: in the place of the first it would say nothing about what was lost
// behind that, in the place of the last it would let messages go before it.
//
// A driver that identifies publishers bounds how many it knows.
//
// # Concurrency
//
// All methods may be called by any number of goroutines. The lock of an inbox is
// a leaf: nothing else is locked under it. Close ends all waiting.
//
// # Errors
//
// Methods return driver.ErrClosed after Close, and the error of a context that
// ended before there was what they wait for. A context is looked at only by who
// has to wait: what is there is handed out, and what fits is taken, although it
// has ended.
package inbox
