package zmq

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func TestC8Allowed(t *testing.T) {
	for _, c := range []struct {
		name    string
		list    allowList
		yes, no []uint32
		open    bool
	}{
		{"nobody else", allowList{own: 7}, []uint32{0, 7}, []uint32{1, 8, 65534, 1<<32 - 1}, false},
		{"a list", allowList{own: 7, others: []uint32{8, 9}}, []uint32{0, 7, 8, 9}, []uint32{1, 10}, true},
		{"everybody", allowList{own: 7, any: true}, []uint32{0, 7, 8, 65534}, nil, true},
		{"root's", allowList{own: 0}, []uint32{0}, []uint32{1, 7}, false},
	} {
		for _, uid := range c.yes {
			if !c.list.allows(uid) {
				t.Errorf("%s: %d is not allowed", c.name, uid)
			}
		}
		for _, uid := range c.no {
			if c.list.allows(uid) {
				t.Errorf("%s: %d is allowed", c.name, uid)
			}
		}
		if c.list.open() != c.open {
			t.Errorf("%s: open is %t", c.name, c.list.open())
		}
	}
	own := newAllowList(&driver.Config{AllowUsers: []uint32{uint32(os.Geteuid()), 0}})
	if own.open() {
		t.Errorf("the process's own user and root are taken for others: %+v", own)
	}
}

// A process of another user is turned away at once, whatever the modes of
// socket and directory, and can't keep others out by coming again and again;
// with its user on the list it is served. Root becomes that user, who else
// takes a list on which it is not itself.
func TestC8ForeignUser(t *testing.T) {
	const nobody = 65534
	for _, c := range []struct {
		name  string
		edit  func(*driver.Config)
		serve bool
	}{
		{"refused", func(*driver.Config) {}, false},
		{"another is allowed", func(c *driver.Config) { c.AllowUsers = []uint32{nobody - 1} }, false},
		{"allowed", func(c *driver.Config) { c.AllowUsers = []uint32{nobody - 1, nobody} }, true},
		{"everybody", func(c *driver.Config) { c.AllowAnyUser = true }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := begin(t)
			var book logBook
			cfg := driver.Config{Socket: shortDir(t) + "/made/s", MaxPeers: 2}
			book.use(&cfg)
			c.edit(&cfg)
			allow := newAllowList(&cfg)
			if !becomesAnother() {
				allow.own = nobody + 1
				if c.serve {
					allow.own = uint32(os.Geteuid())
				}
			}
			p, err := openPullerFor(ctx, cfg.WithDefaults(), allow)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			if !c.serve { // the modes alone would let it in
				for name, mode := range map[string]os.FileMode{filepath.Dir(cfg.Socket): 0o755, cfg.Socket: 0o777} {
					if err := os.Chmod(name, mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := os.Chmod(filepath.Dir(filepath.Dir(cfg.Socket)), 0o755); err != nil {
				t.Fatal(err)
			}
			const attempts = 200
			for i := range attempts {
				conn := asUser(t, nobody, func() net.Conn { return dial(t, p.Addr()) })
				if c.serve {
					if _, err := conn.Write(append(rawHello("PUSH"), frames("T", "x")...)); err != nil {
						t.Fatal(err)
					}
					wantMessages(t, receive(t, ctx, p, 1), "T x")
					break
				}
				if n, err := conn.Read(make([]byte, 1)); n > 0 || err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("attempt %d: got %d bytes, %v", i, n, err)
				}
				conn.Close()
			}
			if becomesAnother() || c.serve {
				push := openPush(t, ctx, cfg.Socket)
				publish(t, ctx, push, "T", "own")
				wantMessages(t, receive(t, ctx, p, 1), "T own")
			}
			want := uint64(attempts)
			if c.serve {
				want = 0
			}
			if st := p.Status(); st.Refused != want {
				t.Errorf("status %+v, want %d refused", st, want)
			}
			lines := strings.Count(book.String(), "worker refused")
			if c.serve && lines > 0 || !c.serve && (lines == 0 || lines > attempts/4) {
				t.Errorf("%d lines of log:\n%s", lines, book.String())
			}
			if !c.serve {
				for _, text := range []string{"user 65534 ", "process "} {
					if becomesAnother() && !strings.Contains(book.String(), text) {
						t.Errorf("no %q in the log:\n%s", text, book.String())
					}
				}
			}
		})
	}
}

// What the service creates lets in whom it is told to let in, and nobody else.
func TestC8Modes(t *testing.T) {
	ctx := begin(t)
	// The most and the least that a process may start with.
	for _, umask := range []int{0, 0o077} {
		defer syscall.Umask(syscall.Umask(umask))
		for _, c := range []struct {
			name         string
			edit         func(*driver.Config)
			dir, private os.FileMode
			socket       os.FileMode
		}{
			{"own", func(c *driver.Config) { c.AllowUsers = []uint32{0, uint32(os.Geteuid())} }, 0o700, 0o600, 0o770 &^ os.FileMode(umask)},
			{"others", func(c *driver.Config) { c.AllowUsers = []uint32{65533} }, 0o711, 0o600, 0o666},
			{"everybody", func(c *driver.Config) { c.AllowAnyUser = true }, 0o711, 0o600, 0o666},
		} {
			path := shortDir(t) + "/made/for/it/s"
			openPull(t, ctx, path, c.edit)
			for name, want := range map[string]os.FileMode{
				filepath.Dir(path):               c.dir,
				filepath.Dir(filepath.Dir(path)): c.dir,
				path + ".lock":                   c.private,
				path:                             c.socket,
			} {
				st, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				if got := st.Mode().Perm(); got != want {
					t.Errorf("umask %o, %s: %s has mode %o, want %o", umask, c.name, filepath.Base(name), got, want)
				}
			}
		}
	}
}

// A directory that is there is left as it is; that nobody gets through it is
// said.
func TestC8ClosedDirectory(t *testing.T) {
	ctx := begin(t)
	var book logBook
	dir := shortDir(t)
	openPull(t, ctx, dir+"/s", book.use, func(c *driver.Config) { c.AllowUsers = []uint32{65533} })
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory has %v, %v", st.Mode(), err)
	}
	book.waitFor(t, "can't enter the directory")
}
