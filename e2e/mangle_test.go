//go:build linux

package e2e

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// mangler stands between a node and its service, and now and then damages a
// message on its way to the node.
type mangler struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu     sync.Mutex
	damage func(message, next []byte, random *rand.Rand) []byte // nil: none
	struck int
	conns  []net.Conn
	closed bool
}

// One in so many messages is damaged.
const mangleOne = 150

func startMangler(t testing.TB, target string) *mangler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mangler{listener: l, target: target}
	m.wg.Go(m.accept)
	t.Cleanup(func() {
		l.Close()
		m.mu.Lock()
		m.closed = true
		for _, c := range m.conns {
			c.Close()
		}
		m.mu.Unlock()
		m.wg.Wait()
	})
	return m
}

func (m *mangler) uri() string { return "tcp://" + m.listener.Addr().String() }

// set says what is done to messages from now on.
func (m *mangler) set(damage func(message, next []byte, random *rand.Rand) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.damage = damage
}

func (m *mangler) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.struck
}

func (m *mangler) accept() {
	for {
		in, err := m.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", m.target)
		if err != nil {
			in.Close()
			continue
		}
		m.mu.Lock()
		if m.closed {
			in.Close()
			out.Close()
		}
		m.conns = append(m.conns, in, out)
		m.mu.Unlock()
		end := func() { in.Close(); out.Close() }
		m.wg.Go(func() { defer end(); _, _ = io.Copy(out, in) })
		m.wg.Go(func() { defer end(); m.down(in, bufio.NewReader(out)) })
	}
}

// down passes on what the service sends, message by message.
func (m *mangler) down(to io.Writer, from *bufio.Reader) {
	m.mu.Lock()
	random := rand.New(rand.NewPCG(1, uint64(len(m.conns)))) // another for each connection
	m.mu.Unlock()
	if _, err := io.CopyN(to, from, 64); err != nil { // the greeting
		return
	}
	for {
		p, event, err := readMessage(from)
		if err != nil {
			return
		}
		m.mu.Lock()
		damage := m.damage
		m.mu.Unlock()
		if event && damage != nil && random.IntN(mangleOne) == 0 {
			next, _, err := readMessage(from)
			if err != nil {
				return
			}
			p = damage(p, next, random)
			m.mu.Lock()
			m.struck++
			m.mu.Unlock()
		}
		if _, err := to.Write(p); err != nil {
			return
		}
	}
}

// readMessage reads the bytes of a whole message, or of a command.
func readMessage(r *bufio.Reader) (p []byte, event bool, err error) {
	for {
		flags, err := r.ReadByte()
		if err != nil {
			return nil, false, err
		}
		var b [8]byte
		size := b[7:]
		if flags&2 != 0 {
			size = b[:]
		}
		if _, err := io.ReadFull(r, size); err != nil {
			return nil, false, err
		}
		n := int(binary.BigEndian.Uint64(b[:]))
		p = append(append(p, flags), size...)
		at := len(p)
		p = append(p, make([]byte, n)...)
		if _, err := io.ReadFull(r, p[at:]); err != nil {
			return nil, false, err
		}
		if flags&1 == 0 {
			return p, flags&4 == 0, nil
		}
	}
}
