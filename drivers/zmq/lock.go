package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// A unix socket's file outlives the process that bound it, and binding needs
// it gone: so who may unlink it? The holder of a lock file beside it, and
// nobody else. The lock is held for life and goes with the process, however it
// ends; the file stays, because unlinking it would let two hold "the" lock.

// lockedListener is a listener on a path that this process owns.
type lockedListener struct {
	*net.UnixListener
	lock *os.File
	path string
}

// listenUnix takes over a path: a stale socket is replaced, a live one is
// refused with the name of its owner. shared lets other users connect, as far
// as modes go.
func listenUnix(ctx context.Context, path, owner string, shared bool) (*lockedListener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := makeParent(path, shared); err != nil {
		return nil, err
	}
	lock, err := takeLock(ctx, path+".lock", path, owner)
	if err != nil {
		return nil, err
	}
	if err := removeStale(ctx, path); err != nil {
		lock.Close()
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		lock.Close()
		return nil, driver.WithHint(fmt.Errorf("listen on ipc://%s: %w", path, err), "the directory must be writable for the user that runs the service")
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(true)
	if err := setMode(path, shared); err != nil {
		ul.Close()
		lock.Close()
		return nil, fmt.Errorf("set mode of socket: %w", err)
	}
	return &lockedListener{UnixListener: ul, lock: lock, path: path}, nil
}

// setMode sets who may connect to a socket. It is up to the umask, but never
// everybody, whatever the directory; unless others are to connect, which takes
// the right to write.
func setMode(path string, shared bool) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode := st.Mode().Perm() &^ 0o007
	if shared {
		mode = 0o666
	}
	if mode == st.Mode().Perm() {
		return nil
	}
	return os.Chmod(path, mode)
}

// holderOf returns the name in a lock file that somebody holds. Who has just
// taken it may not have written its own yet, and the file still name another
// that was killed: so a name of a process that doesn't exist is looked at again.
// A process of another container doesn't exist here either, so not for ever.
func holderOf(ctx context.Context, lock *os.File) string {
	text := make([]byte, 256)
	for until := time.Now().Add(holderTime); ; {
		n, _ := lock.ReadAt(text, 0)
		holder := strings.TrimSpace(string(text[:n]))
		if holder != "" && exists(holder) || time.Now().After(until) || await(ctx, 10*time.Millisecond) != nil {
			return cmp.Or(holder, "another process")
		}
	}
}

// holderTime bounds how long a refused service waits to learn by whom.
const holderTime = time.Second

var holderProcess = regexp.MustCompile(`\(process (\d+) on `)

// exists says whether the process that an owner's name has is there. That it
// holds the lock, or anything else, does not follow: numbers are used again.
func exists(holder string) bool {
	m := holderProcess.FindStringSubmatch(holder)
	if m == nil {
		return true
	}
	pid, err := strconv.Atoi(m[1])
	return err != nil || unix.Kill(pid, 0) != unix.ESRCH
}

func takeLock(ctx context.Context, name, path, owner string) (*os.File, error) {
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, driver.WithHint(fmt.Errorf("open lock file: %w", err), "the directory must be writable for the user that runs the service")
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil && !plant.On(plant.BindSteals) {
		defer lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return nil, inUse(path, holderOf(ctx, lock))
	}
	// The name is for people. That it can't be written, because the disk is
	// full, is no reason to do without the service.
	if err := lock.Truncate(0); err == nil {
		_, _ = lock.WriteAt([]byte(owner+"\n"), 0)
	}
	return lock, nil
}

func inUse(path, holder string) error {
	return driver.WithHint(fmt.Errorf("ipc://%s is in use by %s", path, holder), "stop it, or choose another socket")
}

// removeStale removes the socket of a process that ended without doing so. A
// socket that answers belongs to a program that knows nothing of the lock.
func removeStale(ctx context.Context, path string) error {
	if plant.On(plant.BindSteals) {
		return os.RemoveAll(path)
	}
	st, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at socket: %w", err)
	}
	if st.Mode()&os.ModeSocket == 0 {
		return driver.WithHint(fmt.Errorf("%s exists and is not a socket", path), "choose another path, or remove it")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := endpoint{"unix", path}.dial(ctx)
	if err == nil || errors.Is(err, unix.EAGAIN) {
		holder := "another process"
		if conn != nil {
			if name := connProcess(conn); name != "" {
				holder = name
			}
			conn.Close()
		}
		return inUse(path, holder)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil // removed meanwhile by whom it belonged to
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("look at socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// connProcess names the process at the other end of a unix connection.
func connProcess(conn net.Conn) (name string) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return ""
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return ""
	}
	_ = rc.Control(func(fd uintptr) { name = peerProcess(int(fd)) })
	return name
}

// Close stops listening, removes the socket and gives up the lock.
func (l *lockedListener) Close() error {
	err := l.UnixListener.Close()
	return errors.Join(err, l.lock.Close())
}
