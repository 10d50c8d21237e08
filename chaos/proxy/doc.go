// Package proxy stands between two programs and breaks what is between them, on
// TCP and on unix sockets: it delays, throttles, withholds, slices, cuts, resets
// and refuses. It counts what it did, so that whoever broke something can show
// that it struck.
//
// # Usage
//
//	p, err := proxy.Listen(proxy.Endpoint{"tcp", "127.0.0.1:0"}, proxy.Endpoint{"tcp", service}, proxy.Options{})
//	... connect to p.Addr() ...
//	p.Apply(proxy.Both, proxy.Rule{Hold: true})  // a black hole
//	p.Heal()
//	p.Counts().Withheld                          // the bytes that were caught in it
//
// Directions are seen from who connects: Up leads to the target, Down comes from
// it. For a subscriber that connects to a publisher events come Down.
//
// # What a black hole is
//
// While a direction is held nothing passes in it, the end of a connection
// neither, as when a network drops packets. What was withheld goes on when it
// heals, as TCP would see to. A connection that is begun meanwhile reaches the
// target only then.
//
// # ZeroMQ
//
// With Options.ZMTP the proxy follows the frames that come Down, and Swallow takes
// one whole message out of a stream that goes on as if nothing had been: what a
// publisher that loses an event does to its subscriber.
//
// # Concurrency
//
// All methods may be called by any goroutine. Close waits for the proxy's own.
package proxy
