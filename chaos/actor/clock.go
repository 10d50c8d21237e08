//go:build linux

package actor

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since some moment that is the same for all processes.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // Linux always has it
	}
	return time.Duration(ts.Nano())
}
