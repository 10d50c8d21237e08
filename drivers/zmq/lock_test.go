package zmq

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// stale leaves the socket of a process that was killed.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
}

func TestC5StaleSocket(t *testing.T) {
	ctx := begin(t)
	path := shortDir(t) + "/s"
	stale(t, path)
	pull := openPull(t, ctx, path)
	push := openPush(t, ctx, path)
	publish(t, ctx, push, "T", "x")
	wantMessages(t, receive(t, ctx, pull, 1), "T x")
	pull.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket outlives Close: %v", err)
	}
}

func TestC5SecondService(t *testing.T) {
	ctx := begin(t)
	path := shortDir(t) + "/s"
	openPull(t, ctx, path, func(c *driver.Config) { c.ID = "first-one" })
	_, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path, ID: "second"})
	wantRefusal(t, "second", err, fmt.Sprintf("in use by publisher first-one (process %d", os.Getpid()), "stop it")
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the first one's socket is gone: %v", err)
	}
}

// A program that knows nothing of the lock keeps its socket.
func TestC5ForeignListener(t *testing.T) {
	ctx := begin(t)
	path := shortDir(t) + "/s"
	listen(t, "unix", path)
	_, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path})
	wantRefusal(t, "foreign listener", err, fmt.Sprintf("process %d", os.Getpid()), "stop it")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the foreign listener lost its socket: %v", err)
	}
	conn.Close()
}

// Of many that start at once over a stale socket one wins, and the others are
// told by whom it is taken.
func TestC5ManyStarters(t *testing.T) {
	ctx := begin(t)
	const starters = 100
	for round := range 3 {
		path := shortDir(t) + "/new/s"
		if round > 0 {
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			stale(t, path)
		}
		var mu sync.Mutex
		var won []driver.Subscriber
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range starters {
			wg.Go(func() {
				<-start
				s, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path, ID: "me"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, s)
				} else if !strings.Contains(err.Error(), fmt.Sprintf("in use by publisher me (process %d ", os.Getpid())) {
					t.Errorf("a loser: %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of %d have the socket", len(won), starters)
		}
		push := openPush(t, ctx, path)
		publish(t, ctx, push, "T", "x")
		wantMessages(t, receive(t, ctx, won[0], 1), "T x")
		won[0].Close()
		push.Close()
	}
}

// Whoever holds the lock is there, and nobody else: a number in the file that
// belongs to a living process again doesn't keep the socket from a new service,
// and one that belongs to nobody doesn't take it away from who has it.
func TestC6RecycledNumber(t *testing.T) {
	ctx := begin(t)
	path := shortDir(t) + "/s"
	stale(t, path)
	for _, pid := range []int{os.Getpid(), os.Getppid(), 1} {
		text := fmt.Sprintf("publisher old (process %d on host, since then)\n", pid)
		if err := os.WriteFile(path+".lock", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		openPull(t, ctx, path).Close()
	}
	pull := openPull(t, ctx, path, func(c *driver.Config) { c.ID = "new" })
	for _, text := range []string{
		fmt.Sprintf("publisher gone (process %d on host, since then)\n", 1<<30), // nobody has it
		"", "\x00\xff", strings.Repeat("x", 10000),
	} {
		if err := os.WriteFile(path+".lock", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path})
		wantRefusal(t, fmt.Sprintf("%.20q", text), err, "in use by", "stop it")
		if got, err := os.ReadFile(path + ".lock"); string(got) != text {
			t.Errorf("%.20q: a service that was refused left %.20q, %v", text, got, err)
		}
	}
	push := openPush(t, ctx, path)
	publish(t, ctx, push, "T", "x")
	wantMessages(t, receive(t, ctx, pull, 1), "T x")
}

// A process that was killed and that nobody has waited for, a zombie, still has
// its number, and holds nothing.
func TestC6Zombie(t *testing.T) {
	ctx := begin(t)
	path := shortDir(t) + "/s"
	stale(t, path)
	lock, err := takeLock(ctx, path+".lock", path, "publisher zombie (process 1 on host, since then)")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{lock} // it has the lock with this
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	_, err = IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path})
	wantRefusal(t, "while it lives", err, "publisher zombie", "")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var pull driver.Subscriber
	eventually(t, "the lock of a killed process", func() bool {
		pull, err = IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path})
		return err == nil
	})
	defer pull.Close()
	if err := syscall.Kill(cmd.Process.Pid, 0); err != nil {
		t.Errorf("it is no zombie: %v", err)
	}
	_ = cmd.Wait() // killed
}

func TestPermissions(t *testing.T) {
	ctx := begin(t)
	defer syscall.Umask(syscall.Umask(0))
	path := shortDir(t) + "/made/for/it/s"
	openPull(t, ctx, path)
	for name, want := range map[string]os.FileMode{
		filepath.Dir(path):               0o700,
		filepath.Dir(filepath.Dir(path)): 0o700,
		path + ".lock":                   0o600,
		path:                             0o770,
	} {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

// brokenListener has no descriptors left until it is closed.
type brokenListener struct {
	net.Listener
	asked  chan struct{}
	closed chan struct{}
}

func (l *brokenListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	l.asked <- struct{}{}
	return nil, syscall.EMFILE
}

func TestS11AcceptBacksOff(t *testing.T) {
	begin(t)
	var text bytes.Buffer
	l := &brokenListener{asked: make(chan struct{}), closed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		acceptAll(l, l.closed, slog.New(slog.NewTextHandler(&text, nil)), func(net.Conn) { t.Error("took a connection") })
	}()
	began := time.Now()
	const times = 8 // 5, 10, ... 320 ms, at least half of each
	for range times {
		<-l.asked
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("%d attempts took %s", times, took)
	}
	closing := time.Now()
	close(l.closed) // in the middle of a pause of 320 ms or more
	<-done
	if took := time.Since(closing); took > 200*time.Millisecond {
		t.Errorf("the end of the listener was noticed after %s", took)
	}
	if n := strings.Count(text.String(), "can't accept"); n < 1 || n > 5 {
		t.Errorf("%d lines in the log:\n%s", n, text.String())
	}
}
