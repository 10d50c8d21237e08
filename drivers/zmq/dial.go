package zmq

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// shake performs the handshake on a fresh connection and returns what came
// after it. The connection's deadline bounds it.
func shake(conn net.Conn, hello zmtp.HandshakeConfig) (peer zmtp.Peer, rest []byte, err error) {
	hs := zmtp.NewHandshake(hello)
	if _, err := conn.Write(hs.Start(nil)); err != nil {
		return peer, nil, err
	}
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("closed by peer during the handshake")
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errHandshakeTimeout
			}
			return peer, nil, err
		}
		out, used, err := hs.Input(nil, buf[:n])
		if len(out) > 0 {
			if _, werr := conn.Write(out); werr != nil && err == nil {
				err = werr
			}
		}
		if err != nil {
			return peer, nil, err
		}
		if hs.Done() {
			return hs.Peer(), append([]byte(nil), buf[used:n]...), nil
		}
	}
}

// openLink connects to a peer and performs the handshake, within the time for
// that. The connection is closed when life ends; release undoes it, at the end.
func openLink(life context.Context, target endpoint, hello zmtp.HandshakeConfig, cfg *driver.Config) (k *link, rest []byte, release func() bool, err error) {
	ctx, cancel := context.WithTimeout(life, cfg.HandshakeTimeout)
	defer cancel()
	conn, err := target.dial(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	release = context.AfterFunc(life, func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(cfg.HandshakeTimeout))
	peer, rest, err := shake(conn, hello)
	if err == nil {
		if err = checkNeeds(&peer); err != nil {
			_, _ = conn.Write(zmtp.AppendError(nil, errorText(err)))
		}
	}
	if err != nil {
		release()
		conn.Close()
		return nil, nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	k = newLink(conn, cfg, peer)
	k.address = target.String()
	return k, rest, release, nil
}

// await waits for a duration or until ctx ends.
func await(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
