package main

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The least of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/) that both sides need,
// on blocking sockets, mechanism NULL. 3.0 and not 3.1, so that nobody sends PING
// and subscriptions are messages.

const handshakeTimeout = 20 // seconds

var greeting = func() []byte {
	g := make([]byte, 64)
	g[0], g[9], g[10] = 0xff, 0x7f, 3
	copy(g[12:], "NULL")
	return g
}()

// readyCommand is READY with Socket-Type alone.
func readyCommand(kind string) []byte {
	b := append([]byte{5}, "READY"...)
	b = append(append(b, 11), "Socket-Type"...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(kind)))
	b = append(b, kind...)
	return append([]byte{flagCommand, byte(len(b))}, b...)
}

// subscription is the message that subscribes to text (op 1) or cancels that (op 0).
func subscription(op byte, text string) []byte {
	return append([]byte{0, byte(1 + len(text)), op}, text...)
}

// dialSubscriber connects, from an address unless it is nil, shakes hands as SUB and
// subscribes to the topic. The returned socket does not block.
func dialSubscriber(from, to unix.Sockaddr) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	// A fixed buffer: the kernel would let 1000 sockets grow to 32 MB each.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 256<<10); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := setTimeout(fd, handshakeTimeout); err != nil {
		return -1, err
	}
	if from != nil {
		if err := bindHost(fd, from); err != nil {
			return -1, err
		}
	}
	if err := unix.Connect(fd, to); err != nil {
		return -1, os.NewSyscallError("connect", err)
	}
	if err := shakeHands(fd, "SUB"); err != nil {
		return -1, err
	}
	if err := writeFull(fd, subscription(1, topic)); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// bindHost has a socket connect from an address, and any port.
func bindHost(fd int, from unix.Sockaddr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, from))
}

// acceptSubscriber accepts one SUB and returns when it has subscribed. The
// returned socket blocks.
func acceptSubscriber(listener int) (int, error) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("accept", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := setTimeout(fd, handshakeTimeout); err != nil {
		return -1, err
	}
	if err := shakeHands(fd, "PUB"); err != nil {
		return -1, err
	}
	for {
		flags, payload, err := readFrame(fd)
		if err != nil {
			return -1, err
		}
		if flags == 0 && len(payload) > 0 && payload[0] == 1 {
			return fd, setTimeout(fd, 0)
		}
	}
}

func shakeHands(fd int, kind string) error {
	if err := writeFull(fd, greeting); err != nil {
		return err
	}
	theirs := make([]byte, len(greeting))
	if err := readFull(fd, theirs); err != nil {
		return fmt.Errorf("read greeting: %w", err)
	}
	if theirs[0] != 0xff || theirs[10] < 3 || string(theirs[12:17]) != "NULL\x00" {
		return fmt.Errorf("peer is not ZMTP 3 with NULL: greeting % x", theirs[:17])
	}
	if err := writeFull(fd, readyCommand(kind)); err != nil {
		return err
	}
	flags, payload, err := readFrame(fd)
	if err != nil {
		return fmt.Errorf("read READY: %w", err)
	}
	if flags&flagCommand == 0 || len(payload) < 6 || string(payload[:6]) != "\x05READY" {
		return fmt.Errorf("got %q, want READY", payload)
	}
	return nil
}

// readFrame reads one frame, never a byte more.
func readFrame(fd int) (flags byte, payload []byte, err error) {
	head := make([]byte, 9)
	if err := readFull(fd, head[:2]); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1])
	if head[0]&flagLong != 0 {
		if err := readFull(fd, head[2:]); err != nil {
			return 0, nil, err
		}
		size = binary.BigEndian.Uint64(head[1:])
	}
	if size > maxFrame {
		return 0, nil, errFrameSize
	}
	payload = make([]byte, size)
	return head[0], payload, readFull(fd, payload)
}

func readFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return errPeerClosed
		}
		b = b[n:]
	}
	return nil
}

func writeFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		b = b[n:]
	}
	return nil
}

func setTimeout(fd int, seconds int64) error {
	tv := unix.Timeval{Sec: seconds}
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
}

// listenLoopback listens at a free port and returns the address.
func listenLoopback() (fd int, address string, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, "", os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, "", os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return -1, "", os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, "", os.NewSyscallError("getsockname", err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), nil
}
