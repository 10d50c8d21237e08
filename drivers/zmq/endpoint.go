package zmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// transports are those that Transport and URIs may name.
const transports = "tcp, ipc"

// endpoint is an address of package net.
type endpoint struct {
	network string // "tcp" or "unix"
	address string
}

// String returns the endpoint as a URI of ZeroMQ.
func (e endpoint) String() string {
	if e.network == "unix" {
		return "ipc://" + e.address
	}
	return "tcp://" + e.address
}

// dial connects; ctx bounds it.
func (e endpoint) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: func(network, _ string, c syscall.RawConn) error {
		if network == "unix" {
			return nil
		}
		return c.Control(func(fd uintptr) { setUserTimeout(int(fd), unackedTimeout) })
	}}
	return d.DialContext(ctx, e.network, e.address)
}

// keepAlive finds dead peers that speak no heartbeats.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// parseURI understands what Connect is given: tcp://host:port or ipc://path.
func parseURI(uri string) (endpoint, error) {
	transport, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return endpoint{}, driver.WithHint(fmt.Errorf("address %q has no transport", uri), "write it as tcp://host:port or ipc:///path")
	}
	switch transport {
	case "tcp":
		host, text, err := net.SplitHostPort(rest)
		if err != nil || host == "" || text == "" || strings.ContainsAny(host, " /?#@;") {
			return endpoint{}, driver.WithHint(fmt.Errorf("address %q is not tcp://host:port", uri), "an IPv6 address stands in brackets: tcp://[::1]:8866")
		}
		if host == "*" {
			return endpoint{}, driver.WithHint(fmt.Errorf("address %q can be bound, not connected to", uri), "name a host")
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return endpoint{}, fmt.Errorf("address %q: port is not in 1..65535", uri)
		}
		return endpoint{"tcp", net.JoinHostPort(host, strconv.FormatUint(port, 10))}, nil
	case "ipc":
		if err := checkPath(rest); err != nil {
			return endpoint{}, err
		}
		return endpoint{"unix", rest}, nil
	}
	return endpoint{}, unsupported(transport)
}

func unsupported(transport string) error {
	return driver.WithHint(fmt.Errorf("transport %q is not supported", transport), "supported transports: "+transports)
}

// bindEndpoint returns where the network publisher listens.
func bindEndpoint(cfg *driver.Config) (endpoint, error) {
	switch cfg.Transport {
	case "tcp":
		if cfg.Port < 0 || cfg.Port > 65535 {
			return endpoint{}, fmt.Errorf("port %d is not in 0..65535", cfg.Port)
		}
		host := strings.Trim(cfg.BindAddress, "[]")
		if host == "*" {
			host = ""
		}
		return endpoint{"tcp", net.JoinHostPort(host, strconv.Itoa(cfg.Port))}, nil
	case "ipc":
		// As ZeroMQ reads <transport>://<bind address>:<port>.
		if cfg.BindAddress == "*" {
			return endpoint{}, driver.WithHint(errors.New("transport ipc needs a path to bind"), "set publisher_bind_address to a path; the socket is <path>:<port>")
		}
		path := cfg.BindAddress + ":" + strconv.Itoa(cfg.Port)
		return endpoint{"unix", path}, checkPath(path)
	}
	return endpoint{}, unsupported(cfg.Transport)
}

// maxPath is the longest path that fits sockaddr_un, which ends with a zero.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// checkPath refuses paths that can't be a socket's.
func checkPath(path string) error {
	switch {
	case path == "":
		return driver.WithHint(errors.New("no path for the socket"), "set publisher_multiproc_socket, or [df_zmq] ipc_socket")
	case strings.HasPrefix(path, "@"):
		return driver.WithHint(fmt.Errorf("socket %q is abstract", path), "anybody could connect to it: use a path")
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("socket path %q has a zero byte", path)
	case len(path) > maxPath:
		return driver.WithHint(fmt.Errorf("socket path is %d bytes long: %s", len(path), path),
			fmt.Sprintf("the system allows %d: choose a shorter path", maxPath))
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return driver.WithHint(fmt.Errorf("socket path %s is a directory", path), "name a file in it")
	}
	return nil
}

// makeParent creates the directory of a socket: for this user alone, or so that
// others can pass through it. A directory that is there stays as it is.
func makeParent(path string, shared bool) error {
	dir := filepath.Dir(path)
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		err := os.Mkdir(d, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue // somebody else was faster
		}
		if err == nil && shared {
			err = os.Chmod(d, 0o711) // in spite of the umask
		}
		if err != nil {
			return driver.WithHint(fmt.Errorf("create socket directory: %w", err), "create "+dir+" for the user that runs the service")
		}
	}
	return nil
}

// listenTCP listens on the network, and names who is there already if it can't.
func listenTCP(ctx context.Context, e endpoint) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := lc.Listen(ctx, e.network, e.address)
	if errors.Is(err, unix.EADDRINUSE) {
		owner := portOwner(e.address)
		if owner == "" {
			owner = "another process"
		}
		return nil, driver.WithHint(fmt.Errorf("%s is in use by %s", e, owner),
			"stop it, or choose another publisher_port")
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil, driver.WithHint(fmt.Errorf("listen on %s: %w", e, err), "publisher_bind_address must be an address of this host, or *")
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", e, err)
	}
	return l, nil
}
