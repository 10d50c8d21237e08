package fanlog

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawWrite is the size up to which a write is made without telling the
// scheduler.
const rawWrite = 16 << 10

// writeSocket makes one attempt to write to a non-blocking socket.
//
// A system call that the scheduler knows of may lose its processor to another
// goroutine while it runs, and then has to get one back. A loop that makes a
// thousand short writes in a row pays for that again and again: a fifth of the
// processor time of a paced fan-out to 1000. A small write on a non-blocking
// socket can't block, so the scheduler need not know.
func writeSocket(fd int, p []byte) (int, error) {
	if len(p) == 0 || len(p) > rawWrite {
		return unix.Write(fd, p)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
