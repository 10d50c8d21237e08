// Package freeport finds ports for the servers of tests that can't be given port 0,
// because they are told of one another first, or come back where they were.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports from first to last-1 are not among those that systems give to connections
// that go out, which may take a port at any moment.
const (
	first = 10000
	last  = 32000
)

// Port returns a TCP port of 127.0.0.1 that is free, and that no other test, of
// whatever process, gets until the end of this one. Whether or not something
// listens there, it is claimed by a UDP socket at its number.
func Port(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := first + rand.IntN(last-first)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			claim.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { claim.Close() })
		return port
	}
	t.Fatal("no free port")
	return 0
}

// Address is Port as an address.
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Port(t))
}
