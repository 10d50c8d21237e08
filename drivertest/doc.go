// Package drivertest is the conformance suite for drivers.
//
// # Usage
//
// A driver's test is the suite and what is special to the driver:
//
//	func TestMain(m *testing.M) { drivertest.Main(m) }
//
//	func TestNetwork(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{Driver: mydriver.Driver{}, Hop: driver.Network})
//	}
//
//	func BenchmarkNetwork(b *testing.B) {
//		drivertest.Benchmark(b, drivertest.Harness{Driver: mydriver.Driver{}, Hop: driver.Network})
//	}
//
// [RunFaults] breaks what the test says while events flow, and has a judge decide
// whether something was lost in silence:
//
//	drivertest.RunFaults(t, harness, []drivertest.Fault{{Name: "BrokerRestarts", Strike: restart}})
//
// [RunNotice] measures how soon a loss is told that no later event shows.
//
// Run all of it with -race, and with GOMAXPROCS 1 and 4. [Harness.Config] says
// where the halves of one case meet; the rest the suite finds out from the
// driver's Capabilities and optional interfaces. Where these rule a case out in
// its usual form it is adapted, and the case says how: a driver that can't filter
// must deliver everything, one that may lose messages is given a few at a time.
//
// # Delivery
//
// Every case is a subtest that carries the sentence of the contract that it
// enforces, and prints it when it fails. Most drive the driver itself; those
// whose name begins with Core go through wyvern.Publisher and
// wyvern.Subscriber.
//
// # Concurrency
//
// Cases count goroutines. Don't run anything in parallel with the suite, unless
// [Harness.Parallel] says so.
package drivertest
