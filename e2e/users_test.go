//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// foreign runs a program on libzmq that pushes one event and waits for half a
// second that it is taken, as the user nobody where this process may do that.
func foreign(t testing.TB, socket, key string) {
	t.Helper()
	const nobody = 65534
	const program = `
import sys, zmq
with zmq.Context() as context, context.socket(zmq.PUSH) as s:
    s.setsockopt(zmq.LINGER, 500)
    s.connect("ipc://" + sys.argv[1])
    s.send_multipart([b"D", bytes.fromhex(sys.argv[2])])
`
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", program, socket, fmt.Sprintf("%x", eventBody("D", key, nil)))
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push as another user: %v\n%s", err, out)
	}
}

// A worker of another user publishes when worker_users names its user, through
// a directory that the service made for that; without, not even through an open
// one. Who isn't root can't be another, and is served always.
func TestC8WorkerUsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		served     bool
	}{
		{"own", "", false},
		{"root", "worker_users = root", false},
		{"named", "worker_users = root, 65534", true},
		{"everybody", "worker_users = *", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t)
			site.socket = filepath.Join(site.dir, "run", "s")
			site.write(t, c.line)
			if err := os.Chmod(site.dir, 0o711); err != nil {
				t.Fatal(err)
			}
			svc := site.serve(t)
			node := startSubscriber(t, "ours", svc.uri, "D")
			if !c.served {
				for name, mode := range map[string]os.FileMode{filepath.Dir(site.socket): 0o755, site.socket: 0o777} {
					if err := os.Chmod(name, mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			foreign(t, site.socket, "foreign")
			served := c.served || os.Geteuid() != 0
			if served {
				node.awaitKey(t, "foreign")
			} else {
				svc.stderr.await(t, "level=WARN", "worker refused", "user 65534", "process")
			}
			startWorker(t, "w", site.socket).send(t, "D", 1)
			node.awaitKey(t, "w-0")
			if got := node.has("foreign"); got != served {
				t.Errorf("the foreign worker's event came through: %t, want %t", got, served)
			}
			svc.drain(t)
		})
	}
}
