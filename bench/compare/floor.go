package main

/*
#include "floor.h"
*/
import "C"

import (
	"context"
	"fmt"
)

// runFloorPublisher accepts the subscribers and then writes the same bytes to
// each, 64 KiB at a time or one event at a time when paced: the part of the cost
// that no publisher can avoid. It also feeds the subscriber scenario.
func runFloorPublisher(_ context.Context, st *station) error {
	l, address, err := listenLoopback()
	if err != nil {
		return err
	}
	accepted := make(chan error, 1)
	fds := make([]C.int, st.job.Subscribers)
	go func() {
		for i := range fds {
			fd, err := acceptSubscriber(l)
			if err != nil {
				accepted <- err
				return
			}
			fds[i] = C.int(fd)
		}
		accepted <- nil
	}()
	st.ready(address)
	if err := <-accepted; err != nil {
		return err
	}
	body := newBody(0)
	if st.job.Stamped {
		body = stamp(body, 0x5eed)
	}
	src := newCSource(st, wire(body), bodyOnWire)
	if errno := C.floor_write_loop(&fds[0], C.int(len(fds)), src); errno != 0 {
		return fmt.Errorf("write: errno %d", int(errno))
	}
	st.finish(nil)
	return nil
}
