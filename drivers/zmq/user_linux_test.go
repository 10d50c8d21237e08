package zmq

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// becomesAnother says whether asUser can.
func becomesAnother() bool { return os.Geteuid() == 0 }

// asUser does something as another user, if this process is root's, and else as
// its own. Only this thread changes: the kernel's calls are asked for directly.
func asUser[T any](t testing.TB, uid int, do func() T) T {
	t.Helper()
	if !becomesAnother() {
		return do()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(uid int) {
		const same = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
			panic(errno) // the thread is of no use any more
		}
	}
	become(uid)
	defer become(0)
	return do()
}
