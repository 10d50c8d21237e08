package service

import (
	"log/slog"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// Status is a snapshot of a service. Counters only rise.
type Status struct {
	ID    string
	Epoch uint64
	// Network is the half towards the nodes, IPC the one towards the workers.
	Network, IPC driver.Status
}

func (s *running) status() Status {
	return Status{
		ID:      s.publisher.ID(),
		Epoch:   s.publisher.Epoch(),
		Network: s.publisher.Status(),
		IPC:     s.relay.Status(),
	}
}

// LogValue implements slog.LogValuer: without what has not happened.
func (s Status) LogValue() slog.Value {
	var attrs []slog.Attr
	add := func(key string, n uint64) {
		if n > 0 {
			attrs = append(attrs, slog.Uint64(key, n))
		}
	}
	add("nodes", uint64(s.Network.Peers))
	add("workers", uint64(s.IPC.Peers))
	add("received", s.IPC.Messages)
	add("published", s.Network.Messages)
	add("deliveries", s.Network.Deliveries)
	add("slow_nodes", uint64(s.Network.Slow))
	add("fell_behind", s.Network.Lost)
	add("malformed", s.IPC.Malformed)
	add("refused_nodes", s.Network.Refused)
	add("refused_workers", s.IPC.Refused)
	add("retained_bytes", uint64(max(0, s.Network.Retained)))
	add("queued_bytes", uint64(max(0, s.IPC.Retained)))
	return slog.GroupValue(attrs...)
}
