package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// atMost is how long a test waits for what should come soon.
const atMost = 10 * time.Second

// echo sends back whatever it gets, on either kind of socket.
func echo(t *testing.T, network string) Endpoint {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "px-") // t.TempDir is too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		at = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(c, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return Endpoint{network, l.Addr().String()}
}

func listen(t *testing.T, target Endpoint, o Options) *Proxy {
	t.Helper()
	at := "127.0.0.1:0"
	if target.Network == "unix" {
		at = target.Address + ".proxy"
	}
	p, err := Listen(Endpoint{target.Network, at}, target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial(p.Addr().Network(), p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(atMost)); err != nil {
		t.Fatal(err)
	}
	return c
}

// turnedAway expects that a connection is not served. It may be reset so soon that
// there never is one.
func turnedAway(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial(p.Addr().Network(), p.Addr().String())
	if err != nil {
		return
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(atMost)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes: %v", n, err)
	}
}

// ask sends a text and waits for the same.
func ask(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	hear(t, c, text)
}

func hear(t *testing.T, c net.Conn, text string) {
	t.Helper()
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Fatalf("read: %v", err)
	}
	if string(buf) != text {
		t.Fatalf("got %q, want %q", buf, text)
	}
}

// until polls what nobody tells.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(atMost)
	for !yes() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// both runs a test on TCP and on a unix socket.
func both(t *testing.T, test func(t *testing.T, p *Proxy)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { test(t, listen(t, echo(t, network), Options{})) })
	}
}

func TestPasses(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "hello")
		// Much more than any buffer, both ways at once.
		const size = 8 << 20
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = c.Write(sent)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		})
		got, err := io.ReadAll(c) // one way has ended, the other goes on
		wg.Wait()
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("got %d bytes, want %d: %v", len(got), size, err)
		}
		if n := p.Counts(); n.Accepted != 1 || n.Passed != 2*(size+5) {
			t.Errorf("counted %+v", n)
		}
		until(t, "the connection is forgotten", func() bool { return p.Open() == 0 })
	})
}

func TestBlackHole(t *testing.T) {
	for _, d := range []Direction{Up, Down, Both} {
		t.Run(d.String(), func(t *testing.T) {
			both(t, func(t *testing.T, p *Proxy) {
				c := dial(t, p)
				ask(t, c, "before")
				p.Apply(d, Rule{Hold: true})
				if _, err := io.WriteString(c, "during"); err != nil {
					t.Fatal(err)
				}
				until(t, "bytes are withheld", func() bool { return p.Counts().Withheld == 6 })
				late := dial(t, p)
				until(t, "a connection is withheld", func() bool { return p.Counts().Held == 1 })
				p.Heal()
				hear(t, c, "during")
				ask(t, late, "late")
			})
		})
	}
}

// The end of a connection waits in a black hole as bytes do.
func TestBlackHoleHidesTheEnd(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "before")
		p.Apply(Both, Rule{Hold: true})
		if _, err := io.WriteString(c, "last"); err != nil {
			t.Fatal(err)
		}
		until(t, "bytes are withheld", func() bool { return p.Counts().Withheld == 4 })
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if p.Open() != 1 {
			t.Error("the connection has ended in a black hole")
		}
		p.Heal()
		if got, err := io.ReadAll(c); err != nil || string(got) != "last" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// A connection that is stranded is dead, and neither side is told; others live.
func TestStrand(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "before")
		if n := p.Strand(); n != 1 {
			t.Errorf("%d connections are stranded, want 1", n)
		}
		if _, err := io.WriteString(c, "after"); err != nil {
			t.Fatal(err)
		}
		until(t, "bytes are withheld", func() bool { return p.Counts().Withheld == 5 })
		ask(t, dial(t, p), "another")
		p.Heal()
		if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes, %v", n, err)
		}
		if n := p.Reset(); n != 2 {
			t.Errorf("%d connections reset, want 2", n)
		}
	})
}

func TestCut(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "hello")
		if n := p.Cut(); n != 1 {
			t.Errorf("%d connections cut, want 1", n)
		}
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %d bytes, %v, want the end", n, err)
		}
		ask(t, dial(t, p), "again")
		if n := p.Counts(); n.Cut != 1 || n.Reset != 0 {
			t.Errorf("counted %+v", n)
		}
	})
}

func TestReset(t *testing.T) {
	p := listen(t, echo(t, "tcp"), Options{})
	c := dial(t, p)
	ask(t, c, "hello")
	if n := p.Reset(); n != 1 {
		t.Errorf("%d connections reset, want 1", n)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d bytes, %v, want a reset", n, err)
	}
	if n := p.Reset(); n != 0 {
		t.Errorf("%d connections reset, of none", n)
	}
}

// Who waits in a black hole can be cut off too.
func TestResetInABlackHole(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "before")
		p.Apply(Both, Rule{Hold: true})
		late := dial(t, p)
		until(t, "a connection is withheld", func() bool { return p.Counts().Held == 1 })
		if n := p.Reset(); n != 2 {
			t.Errorf("%d connections reset, want 2", n)
		}
		for _, c := range []net.Conn{c, late} {
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("read %d bytes", n)
			}
		}
	})
}

func TestRefuse(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "before")
		p.Refuse(true)
		turnedAway(t, p)
		ask(t, c, "goes on")
		p.Refuse(false)
		ask(t, dial(t, p), "again")
		if n := p.Counts(); n.Refused != 1 {
			t.Errorf("counted %+v", n)
		}
	})
}

// Rules hold for connections that there are, in their direction, and no byte is
// changed by them.
func TestRules(t *testing.T) {
	text := string(bytes.Repeat([]byte("0123456789"), 20))
	const size = 200
	for _, tt := range []struct {
		name string
		rule Rule
		want func(Counts) int64
	}{
		{"delay", Rule{Delay: time.Millisecond}, func(c Counts) int64 { return c.Delayed }},
		{"rate", Rule{Rate: 20000}, func(c Counts) int64 { return c.Throttled }},
		{"slice", Rule{Slice: true}, func(c Counts) int64 { return c.Sliced }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, p *Proxy) {
				c := dial(t, p)
				ask(t, c, text)
				p.Apply(Down, tt.rule)
				before := p.Counts()
				ask(t, c, text)
				if n := tt.want(p.Counts().Minus(before)); n != size {
					t.Errorf("%d bytes, want %d: %+v", n, size, p.Counts())
				}
				p.Heal()
				before = p.Counts()
				ask(t, c, text)
				if n := tt.want(p.Counts().Minus(before)); n != 0 {
					t.Errorf("%d bytes after it healed", n)
				}
			})
		})
	}
}

func TestTargetIsAbsent(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			target := echo(t, network)
			if network == "unix" {
				target.Address += ".none"
			} else {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				target.Address = l.Addr().String()
				l.Close()
			}
			turnedAway(t, listen(t, target, Options{}))
		})
	}
}

func TestClose(t *testing.T) {
	both(t, func(t *testing.T, p *Proxy) {
		c := dial(t, p)
		ask(t, c, "hello")
		for range 2 {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes", n)
		}
	})
}

// appendFrame appends a frame of ZMTP.
func appendFrame(p []byte, flags byte, body string) []byte {
	if len(body) > 255 {
		p = binary.BigEndian.AppendUint64(append(p, flags|flagLong), uint64(len(body)))
	} else {
		p = append(p, flags, byte(len(body)))
	}
	return append(p, body...)
}

func appendMessage(p []byte, frames ...string) []byte {
	for i, body := range frames {
		var flags byte
		if i < len(frames)-1 {
			flags = flagMore
		}
		p = appendFrame(p, flags, body)
	}
	return p
}

// stream is a greeting, a command and messages, with and without the one on
// topic b.
func stream() (all, rest []byte) {
	long := string(bytes.Repeat([]byte("x"), 1000))
	all = appendFrame(bytes.Repeat([]byte{0xff}, greetingSize), flagCommand, "\x05READY")
	all = appendMessage(all, "a", "first")
	all = appendMessage(all, "b", "one frame too many", "")
	all = appendMessage(all, "b")
	rest = bytes.Clone(all)
	all = appendMessage(all, "b", long)
	for _, p := range []*[]byte{&all, &rest} {
		*p = appendFrame(*p, flagCommand, "\x04PING")
		*p = appendMessage(*p, "b", "second")
		*p = appendMessage(*p, "c", long)
		*p = appendMessage(*p, "", "")
	}
	return all, rest
}

// However the stream is cut into pieces, exactly one message is taken out.
func TestSplitter(t *testing.T) {
	all, rest := stream()
	for _, size := range []int{1, 2, 3, 7, 64, 100, len(all)} {
		for _, armed := range []bool{false, true} {
			left := armed
			s := &splitter{
				armed: func() bool { return left },
				swallow: func(topic, body []byte) bool {
					hit := left && string(topic) == "b" && len(body) == 1000
					left = left && !hit
					return hit
				},
			}
			var got []byte
			for p := all; len(p) > 0; {
				n := min(size, len(p))
				got = append(got, s.feed(p[:n])...)
				p = p[n:]
			}
			want := all
			if armed {
				want = rest
			}
			if !bytes.Equal(got, want) {
				t.Errorf("pieces of %d, armed %t: got %d bytes, want %d", size, armed, len(got), len(want))
			}
			if left {
				t.Errorf("pieces of %d: nothing was swallowed", size)
			}
		}
	}
}

func TestSwallow(t *testing.T) {
	p := listen(t, echo(t, "tcp"), Options{ZMTP: true})
	c := dial(t, p)
	all, rest := stream()
	p.Swallow(func(topic, body []byte) bool { return string(topic) == "b" && len(body) > 100 })
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	hear(t, c, string(rest))
	if n := p.Counts().Swallowed; n != 1 {
		t.Errorf("%d messages swallowed, want 1", n)
	}
	// Any message, once.
	p.Swallow(nil)
	var more, want []byte
	for i := range 3 {
		more = appendMessage(more, "a", fmt.Sprint(i))
		if i > 0 {
			want = appendMessage(want, "a", fmt.Sprint(i))
		}
	}
	if _, err := c.Write(more); err != nil {
		t.Fatal(err)
	}
	hear(t, c, string(want))
}

// A message that is longer than is held back passes.
func TestSplitterLongMessage(t *testing.T) {
	all := append(bytes.Repeat([]byte{0xff}, greetingSize), appendMessage(nil, "b", string(make([]byte, maxHeld)))...)
	s := &splitter{armed: func() bool { return true }, swallow: func(_, _ []byte) bool { return true }}
	if got := s.feed(all); !bytes.Equal(got, all) {
		t.Errorf("got %d bytes, want %d", len(got), len(all))
	}
}
