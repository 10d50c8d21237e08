//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// rawConn is a connection of which the test writes every byte.
type rawConn struct {
	net.Conn
	t testing.TB
}

// dial connects, to a path or to host:port.
func dial(t testing.TB, address string) *rawConn {
	t.Helper()
	conn, err := net.DialTimeout(networkOf(address), address, atMost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &rawConn{conn, t}
}

func networkOf(address string) string {
	if address[0] == '/' {
		return "unix"
	}
	return "tcp"
}

// greeting is the 64 bytes of ZMTP 3.1 with NULL.
func greeting() []byte {
	g := make([]byte, 64)
	g[0], g[9], g[10], g[11] = 0xff, 0x7f, 3, 1
	copy(g[12:], "NULL")
	return g
}

// ready is the command READY with a Socket-Type.
func ready(socketType string) []byte {
	p := append([]byte("\x05READY\x0bSocket-Type"), 0, 0, 0, byte(len(socketType)))
	return shortFrame(4, append(p, socketType...))
}

// shortFrame is a frame of less than 256 bytes. Flags: 1 more, 4 command.
func shortFrame(flags byte, body []byte) []byte {
	return append([]byte{flags, byte(len(body))}, body...)
}

// longHeader is the header of a frame with a long length.
func longHeader(flags byte, size uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{flags | 2}, size)
}

// message is one of any frames.
func message(frames ...[]byte) []byte {
	var p []byte
	for i, f := range frames {
		flags := byte(1)
		if i == len(frames)-1 {
			flags = 0
		}
		p = append(append(p, longHeader(flags, uint64(len(f)))...), f...)
	}
	return p
}

// write writes it all, or as much as the other side stays for.
func (c *rawConn) write(p []byte) {
	_ = c.SetWriteDeadline(time.Now().Add(atMost))
	if _, err := c.Write(p); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("write to %s: %v", c.RemoteAddr(), err)
	}
}

// shake performs the handshake.
func (c *rawConn) shake(socketType string) {
	c.t.Helper()
	c.shakeWith(ready(socketType))
}

// shakeWith performs it with a command READY of the caller's.
func (c *rawConn) shakeWith(hello []byte) {
	c.t.Helper()
	c.write(append(greeting(), hello...))
	_ = c.SetReadDeadline(time.Now().Add(atMost))
	g := make([]byte, 64)
	if _, err := io.ReadFull(c, g); err != nil {
		c.t.Fatalf("read a greeting: %v", err)
	}
	flags, body := c.frame()
	if flags&4 == 0 || !bytes.HasPrefix(body, []byte("\x05READY")) {
		c.t.Fatalf("got %q instead of READY", body)
	}
}

// frame reads one.
func (c *rawConn) frame() (flags byte, body []byte) {
	c.t.Helper()
	var h [9]byte
	read := func(p []byte) {
		if _, err := io.ReadFull(c, p); err != nil {
			c.t.Fatalf("read a frame from %s: %v", c.RemoteAddr(), err)
		}
	}
	read(h[:2])
	size := uint64(h[1])
	if h[0]&2 != 0 {
		read(h[2:])
		size = binary.BigEndian.Uint64(h[1:])
	}
	body = make([]byte, size)
	read(body)
	return h[0], body
}

// awaitEnd reads until the other side ends the connection.
func (c *rawConn) awaitEnd() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(atMost))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the other side did not end connection %v", c.RemoteAddr())
	}
}

// eventBody is the body of an event as a worker writes it.
func eventBody(topic, key string, value []byte) []byte {
	p := []byte("\x85\xa5table\xa5lport\xa3key")
	p = append(append(p, 0xd9, byte(len(key))), key...)
	p = append(p, "\xa6action\xa3set\xa5value\xdb"...)
	p = append(binary.BigEndian.AppendUint32(p, uint32(len(value))), value...)
	p = append(p, "\xa5topic\xd9"...)
	return append(append(p, byte(len(topic))), topic...)
}
