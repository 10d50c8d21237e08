package zmq

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// portOwner would name the process that listens on a port; here nobody tells.
func portOwner(string) string { return "" }

// peerProcess names the process at the other end of a unix socket.
func peerProcess(fd int) string {
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("process %d", pid)
}

// setUserTimeout does nothing: there is no TCP_USER_TIMEOUT.
func setUserTimeout(int, time.Duration) {}
