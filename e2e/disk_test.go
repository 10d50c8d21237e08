//go:build linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of a few pages on a directory, if this process
// may, and says whether it did.
func smallDisk(t testing.TB, dir string) bool {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Logf("can't mount: %v", err)
		return false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return true
}

// fill writes until the disk is full.
func fill(t testing.TB, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
}

// A service needs no disk to publish: it starts, publishes and drains with a
// full, a read-only or no disk where its files should be, and says so. Who may
// not mount has a directory that it can't write to instead.
func TestS8NoDisk(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T, dir string) {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		socket bool // it is the socket's directory as well
		// before spoils the directory before the start, after during the run.
		// disk: it has a file system of its own.
		before, after func(t *testing.T, dir string, disk bool)
	}{
		{"full", false, func(t *testing.T, dir string, disk bool) {
			if disk {
				fill(t, dir)
			} else {
				closed(t, dir)
			}
		}, nil},
		{"full, also for the socket", true, func(t *testing.T, dir string, disk bool) {
			if disk {
				fill(t, dir)
			}
		}, nil},
		{"full during the run", true, nil, func(t *testing.T, dir string, disk bool) {
			if disk {
				fill(t, dir)
			} else {
				closed(t, dir)
			}
		}},
		{"read-only", false, func(t *testing.T, dir string, disk bool) {
			if !disk {
				closed(t, dir)
			} else if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t)
			dir := filepath.Join(site.dir, "run")
			if c.socket {
				site.socket = filepath.Join(dir, "s")
			}
			site.write(t, "run_directory = "+dir, "retention = 1MiB")
			disk := smallDisk(t, dir)
			if c.before != nil {
				c.before(t, dir, disk)
			}
			svc := site.serve(t)
			node := startSubscriber(t, "ours", svc.uri, "D")
			w := startWorker(t, "w", site.socket)
			w.send(t, "D", 100)
			w.flush(t)
			if c.after != nil {
				c.after(t, dir, disk)
			}
			const count = 2000
			w.send(t, "D", count-100)
			w.flush(t)
			node.awaitSets(t, count)
			node.checkComplete(t, []string{"w"}, count)
			if line, found, _, _ := svc.stderr.find(0, "level=ERROR"); found {
				t.Error(line)
			}
			svc.drain(t)
			if disk || c.before == nil || !c.socket { // what it would leave is more than fits
				svc.stderr.await(t, "level=WARN", "can't hand over")
			}
		})
	}
}
