//go:build linux

package campaign

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// spawner starts processes that die with this one. The kernel kills them when
// the thread that started them ends, so all are started by one that doesn't.
type spawner struct {
	requests chan startRequest
	wg       sync.WaitGroup
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan startRequest)}
	s.wg.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for r := range s.requests {
			r.done <- r.cmd.Start()
		}
	})
	return s
}

// start starts a process, in a group of its own: the terminal's signals are for
// the campaign, which ends everything in order.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := startRequest{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.done
}

// close ends the thread. There must be no process left.
func (s *spawner) close() {
	close(s.requests)
	s.wg.Wait()
}
