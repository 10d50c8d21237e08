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

// undelivered says whether a socket had to send something again and has not got it
// all across: there was trouble on the way.
func undelivered(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	switch {
	case err != nil: // a unix socket
		return false
	case info.Total_retrans == 0:
		return false
	case info.Bytes_sent == 0: // before Linux 4.19
		return true
	}
	return info.Bytes_sent-info.Bytes_retrans+uint64(info.Notsent_bytes) > info.Bytes_acked
}
