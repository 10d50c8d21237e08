package fanlog

import "golang.org/x/sys/unix"

// unacknowledged returns how many bytes a socket has not got across yet.
func unacknowledged(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
