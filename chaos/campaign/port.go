//go:build linux

package campaign

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports that are tried are not among those that the system gives to outgoing
// connections, so that one can be bound again after a restart.
const (
	lowestPort  = 10000
	highestPort = 32000
)

// freePort returns a port that is free.
func (s *system) freePort() (int, error) {
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if s.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		s.ports[port] = true
		return port, nil
	}
	return 0, errors.New("no free port")
}

// name names the i-th part of a kind, from 1.
func (s *system) name(kind string, i int) string { return fmt.Sprintf("%s%d", kind, i+1) }
