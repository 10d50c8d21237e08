// Package etcdserver runs etcd for tests: one server or a cluster of three, in
// this process or each in a process of its own that can be killed.
//
// # Usage
//
//	func TestMain(m *testing.M) { etcdserver.Main(); os.Exit(m.Run()) }
//
//	s := etcdserver.Start(t, etcdserver.Options{})
//	... connect to s.Endpoint() ...
//	s.Stop()
//	s.Restart()
//
//	c := etcdserver.StartCluster(t, etcdserver.Options{Process: true})
//	c.Leader().Kill()
//
// Everything listens on free ports of the loopback, and keeps them over a
// restart. Files are in a temporary directory of the test. Nothing is written to
// disk for sure (no fsync): a test that pulls the plug of a machine needs another
// server.
//
// # Concurrency
//
// A Server belongs to the test's goroutine, and to what it waits for.
//
// # Errors
//
// What goes wrong fails the test.
package etcdserver
