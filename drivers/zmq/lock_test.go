package zmq

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
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

func TestStaleSocket(t *testing.T) {
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

func TestSecondService(t *testing.T) {
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
func TestForeignListener(t *testing.T) {
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
func TestManyStarters(t *testing.T) {
	ctx := begin(t)
	for range 10 {
		path := shortDir(t) + "/new/s"
		var mu sync.Mutex
		var won []driver.Subscriber
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 20 {
			wg.Go(func() {
				<-start
				s, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: path})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, s)
				} else if !strings.Contains(err.Error(), "in use by") {
					t.Errorf("a loser: %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of 20 have the socket", len(won))
		}
		push := openPush(t, ctx, path)
		publish(t, ctx, push, "T", "x")
		wantMessages(t, receive(t, ctx, won[0], 1), "T x")
		won[0].Close()
		push.Close()
	}
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

func TestAcceptBacksOff(t *testing.T) {
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
