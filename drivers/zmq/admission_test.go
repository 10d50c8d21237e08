package zmq

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// dialFrom connects from an address of this host.
func dialFrom(t testing.TB, from string, to net.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, c)
}

// rawSub makes a connection a foreign subscriber's.
func rawSub(t testing.TB, conn net.Conn, topic string) {
	t.Helper()
	foreign(t, conn, zmtp.Sub, 1).subscribe(1, topic)
}

// Thousands of connections that say nothing, or half of what they should, keep
// nobody out: neither from their own address nor from another. They make room
// for each other.
func TestX2SilentFlood(t *testing.T) {
	const most, flood = 4096, 3000
	ctx := begin(t)
	var book logBook
	pub := openPub(t, ctx, book.use, func(c *driver.Config) {
		c.BindAddress, c.MaxPeers, c.HandshakeTimeout = "0.0.0.0", most, patience
		c.HeartbeatInterval = patience // nothing but events comes
	})
	to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: pub.Addr().(*net.TCPAddr).Port}
	old := dialFrom(t, "127.0.0.1", to)
	rawSub(t, old, "T")

	var mu sync.Mutex
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			c.Close()
		}
	}()
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := range flood / 8 {
				c, err := net.Dial("tcp", to.String())
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				_ = c.(*net.TCPConn).SetLinger(0) // leave no ports behind
				if i%2 == 0 {
					_, _ = c.Write(rawHello(zmtp.Sub)[:1+(part*i)%70]) // it may be ended already
				}
				mu.Lock()
				silent = append(silent, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	const pending = most / pendingShare
	eventually(t, "the flood is cut down to its share", func() bool {
		st := pub.Status()
		return st.Refused >= flood-pending && pub.fan.Stats().Sessions <= 1+pending
	})
	// The fault struck: as many as may are still there.
	if n := pub.fan.Stats().Sessions; n < pending {
		t.Errorf("%d connections, want the silent ones among them", n)
	}
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		c := dialFrom(t, from, to)
		rawSub(t, c, "T")
		publish(t, ctx, pub, "T", from)
		want := string(zmtp.AppendMessage2(nil, []byte("T"), []byte(from)))
		for _, conn := range []net.Conn{old, c} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
				t.Fatalf("from %s: got %q, %v", from, got, err)
			}
		}
	}
	if lines := strings.Count(book.String(), "\n"); lines == 0 || lines > 100 || !strings.Contains(book.String(), "made room") {
		t.Errorf("%d lines of log:\n%.1000s", lines, book.String())
	}
}

// Nor do a thousand to the workers' socket.
func TestX2SilentWorkers(t *testing.T) {
	ctx := begin(t)
	var book logBook
	pull := openPull(t, ctx, shortDir(t)+"/s", book.use, func(c *driver.Config) {
		c.MaxPeers, c.HandshakeTimeout = 256, patience
	})
	for range 1000 {
		c, err := net.Dial("unix", pull.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	push := openPush(t, ctx, pull.Addr().String())
	publish(t, ctx, push, "T", "x")
	wantMessages(t, receive(t, ctx, pull, 1), "T x")
	eventually(t, "the flood is cut down to its share", func() bool {
		pull.admission.mu.Lock()
		defer pull.admission.mu.Unlock()
		return pull.admission.count <= 64+1 && pull.Status().Refused >= 1000-64
	})
	book.waitFor(t, "made room")
	if lines := strings.Count(book.String(), "\n"); lines > 100 {
		t.Errorf("%d lines of log", lines)
	}
}

// What one address may have is bounded, by default by three quarters of all;
// beyond that it is refused, and others are not. Room comes back.
func TestX2MaxPerAddress(t *testing.T) {
	for _, c := range []struct {
		name      string
		edit      func(*driver.Config)
		most, all int
	}{
		{"default", func(c *driver.Config) { c.MaxPeers = 8 }, 6, 8},
		{"set", func(c *driver.Config) { c.MaxPeers, c.MaxPerAddress = 8, 3 }, 3, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := begin(t)
			var book logBook
			pub := openPub(t, ctx, book.use, func(c *driver.Config) { c.BindAddress = "0.0.0.0" }, c.edit)
			to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: pub.Addr().(*net.TCPAddr).Port}
			var first net.Conn
			in := 0
			for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
				for range min(c.most, c.all-in) {
					conn := dialFrom(t, from, to)
					rawSub(t, conn, "T")
					if first == nil {
						first = conn
					}
					in++
				}
				refused := pub.Status().Refused
				wantEnd(t, dialFrom(t, from, to))
				if got := pub.Status().Refused; got != refused+1 {
					t.Errorf("%d refused, want %d", got, refused+1)
				}
			}
			book.waitFor(t, "connections from 127.0.0.1 already")
			first.Close()
			eventually(t, "room", func() bool { return pub.Status().Peers == in-1 })
			rawSub(t, dialFrom(t, "127.0.0.1", to), "T")
		})
	}
}

// The books are kept, whatever the order of things.
func TestX2Admission(t *testing.T) {
	a := newAdmission(100, 40)
	ended := map[*guest]error{}
	admit := func(name string) *guest {
		t.Helper()
		g, err := a.admit(name)
		if err != nil {
			t.Fatal(err)
		}
		g.end = func(reason error) { ended[g] = reason }
		return g
	}
	var guests []*guest
	for range 25 {
		guests = append(guests, admit("x"))
	}
	last := admit("x") // the 26th that is pending
	if !errors.Is(ended[guests[0]], errCrowdedHere) || len(ended) != 1 {
		t.Fatalf("ended %v, want the oldest", ended)
	}
	guests[0].leave() // what ends it tells later; it is counted already
	if err := guests[0].introduced(); !errors.Is(err, errCrowdedHere) {
		t.Errorf("one that had to go is introduced: %v", err)
	}
	guests = append(guests[1:], last)
	for _, g := range guests { // room for others that are pending
		if err := g.introduced(); err != nil {
			t.Fatal(err)
		}
	}
	for range 15 {
		guests = append(guests, admit("x"))
	}
	if len(ended) != 1 {
		t.Fatalf("ended %v", ended)
	}
	admit("x") // the 41st: the oldest that is pending goes
	if len(ended) != 2 || ended[guests[25]] == nil {
		t.Fatalf("ended %d", len(ended))
	}
	for _, name := range []string{"y", "z"} {
		for range 30 {
			if err := admit(name).introduced(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ended) != 2 {
		t.Fatalf("ended %d", len(ended))
	}
	for range 15 { // 100 already: the pending of x go
		if err := admit("v").introduced(); err != nil {
			t.Fatal(err)
		}
	}
	if len(ended) != 17 {
		t.Fatalf("ended %d", len(ended))
	}
	if _, err := a.admit("w"); err == nil || !strings.Contains(err.Error(), "100 are connected") {
		t.Errorf("the 101st: %v", err)
	}
	guests[0].leave()
	guests[0].leave()
	if a.count != 99 || a.pending.Len() != 0 {
		t.Errorf("%d guests, %d of them pending", a.count, a.pending.Len())
	}
	admit("w").leave()
	if len(a.origins) != 4 {
		t.Errorf("%d origins are known", len(a.origins))
	}
}

func TestX2Origin(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1",
		"::ffff:192.0.2.1":      "192.0.2.1",
		"2001:db8:1:2:3::1":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::ff": "2001:db8:1:2::/64",
		"::1":                   "::/64",
	} {
		if got := originOf(addressed{ip: net.ParseIP(address)}); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

type addressed struct {
	net.Conn
	ip net.IP
}

func (a addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: a.ip, Port: 1} }
