package freeport

import (
	"fmt"
	"net"
	"testing"
)

// Nobody gets a port twice, though nothing listens there, until its test has ended.
func TestPort(t *testing.T) {
	got := make(map[int]bool)
	t.Run("at a time", func(t *testing.T) {
		for range 500 {
			port := Port(t)
			if got[port] || port < first || port >= last {
				t.Fatalf("got %d, after %d others", port, len(got))
			}
			got[port] = true
			if c, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				c.Close()
				t.Fatalf("%d is not claimed", port)
			}
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatalf("it is not free: %v", err)
			}
			l.Close()
		}
	})
	for port := range got {
		c, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("still claimed: %v", err)
		}
		c.Close()
	}
}
