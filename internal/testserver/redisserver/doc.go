// Package redisserver starts Redis servers for tests: one, one with Sentinels, or
// a cluster.
//
// # Usage
//
//	s := redisserver.Start(t)                   // s.Addr
//	r := redisserver.StartReplicated(t)         // r.Sentinels, r.Master()
//	c := redisserver.StartCluster(t, 3, 1)      // c.Addrs()
//
// Servers listen on free ports of 127.0.0.1, keep their data in directories of
// the test, and end with it. Where redis-server is not installed the test fails:
// `make deps` installs it.
//
// # Concurrency
//
// A server belongs to the goroutine of its test.
package redisserver
