package fanlog

import "golang.org/x/sys/unix"

// writeSocket makes one attempt to write to a non-blocking socket.
func writeSocket(fd int, p []byte) (int, error) { return unix.Write(fd, p) }
