//go:build linux

package campaign

import (
	"context"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

const (
	stallTick = 50 * time.Millisecond
	// stalled is how late a tick has to be to count.
	stalled = 500 * time.Millisecond
	// machineStall is the fault that is logged for it. It concerns everybody.
	machineStall = "machine-stall"
)

// watchStalls notes when this process was not run, until ctx ends: the machine
// has other things to do, or was suspended. The proxies stand still meanwhile,
// and others may; that is a fault that nobody planned.
func (s *system) watchStalls(ctx context.Context) {
	tick := time.NewTicker(stallTick)
	defer tick.Stop()
	last := actor.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := actor.Now()
		if now-last > stalled {
			s.journal.add(validator.Record{
				Kind: validator.KindFault, Fault: machineStall, At: int64(last), End: int64(now), On: []string{"*"},
				Confirmed: true, Proof: (now - last).String(),
			})
			s.stalls.Add(1)
		}
		last = now
	}
}
