package zmq

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// allowList says whose processes may connect to a unix socket. The directory
// and the mode of the socket keep others away as well; but these are easily
// changed, and a process that holds a descriptor of the directory needs
// neither.
type allowList struct {
	own    uint32 // the user of this process; root may do all that it may
	others []uint32
	any    bool
}

func newAllowList(cfg *driver.Config) *allowList {
	a := &allowList{own: uint32(os.Geteuid()), any: cfg.AllowAnyUser}
	for _, id := range cfg.AllowUsers {
		if id != a.own && id != 0 {
			a.others = append(a.others, id)
		}
	}
	return a
}

// open says whether anybody is allowed that the file system would keep away
// from what only its owner may enter.
func (a *allowList) open() bool { return a.any || len(a.others) > 0 }

// reach warns of a directory that those who are allowed can't enter. By group
// they may be, which is for whoever set that up to know.
func (a *allowList) reach(path string, log *slog.Logger) {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); a.open() && err == nil && st.Mode().Perm()&0o011 == 0 {
		log.Warn("other users are allowed, but can't enter the directory of the socket", "directory", dir, "mode", st.Mode().Perm())
	}
}

// allows says whether the processes of a user may connect.
func (a *allowList) allows(uid uint32) bool {
	return a.any || uid == a.own || uid == 0 || slices.Contains(a.others, uid)
}

// check returns the user of a connection's other end, and refuses one that is
// not allowed. The kernel says who it is: whoever called connect, whatever
// became of that process since.
func (a *allowList) check(conn net.Conn) (user string, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return "", errors.New("no descriptor to ask for its user")
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return "", fmt.Errorf("ask for its user: %w", err)
	}
	var uid uint32
	var pid int
	var cerr error
	if err := rc.Control(func(fd uintptr) { uid, pid, cerr = peerCredentials(int(fd)) }); err != nil {
		cerr = err
	}
	if cerr != nil {
		return "", fmt.Errorf("ask for its user: %w", cerr)
	}
	if !a.allows(uid) {
		return "", fmt.Errorf("user %d (of process %d) may not connect here", uid, pid)
	}
	return fmt.Sprint("user ", uid), nil
}
