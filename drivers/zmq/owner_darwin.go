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

// peerCredentials returns the user and the process that connected a unix
// socket.
func peerCredentials(fd int) (uid uint32, pid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, 0, err
	}
	pid, _ = unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID) // for people only
	return cred.Uid, pid, nil
}

// setUserTimeout does nothing: there is no TCP_USER_TIMEOUT.
func setUserTimeout(int, time.Duration) {}
