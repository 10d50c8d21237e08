package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// defaultBulk is the longest string that a server takes, unless it is
// configured.
const defaultBulk = 512 << 20

// dialer makes connections.
type dialer struct {
	options
	cfg driver.Config
}

// line is one connection to one server, that is not made again when it is lost:
// the client library would do so without a word. One goroutine uses it at a
// time; close may be called by any.
type line struct {
	addr    string
	conn    *guard
	client  *goredis.Client
	role    string // "master" or "replica", as of opening
	mode    string // "standalone", "sentinel" or "cluster"
	id      int64  // the connection's, at the server
	checked time.Time
	closed  atomic.Bool

	mu   sync.Mutex
	busy bool // a command is running
}

// ended is a connection that has ended: what the client library gets when it
// wants a second one. An error would be logged by it.
func ended() net.Conn {
	c, other := net.Pipe()
	_ = other.Close()
	_ = c.Close()
	return c
}

// connect opens a connection and a client that has only that.
func (d *dialer) connect(ctx context.Context, addr string, as account) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.HandshakeTimeout)
	defer cancel()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		c := d.tls
		if c.ServerName == "" {
			c = c.Clone()
			c.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, c)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		conn = secure
	}
	l := &line{addr: addr, conn: &guard{Conn: conn, most: d.cfg.MaxPayload}, checked: time.Now()}
	var given atomic.Bool
	l.client = goredis.NewClient(&goredis.Options{
		Addr: addr, Username: as.user, Password: as.password, DB: as.db,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if given.Swap(true) {
				return ended(), nil
			}
			return l.conn, nil
		},
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 8, MaxIdleConns: 1,
		ConnMaxIdleTime: -1, ConnMaxLifetime: -1, ContextTimeoutEnabled: false,
		ReadTimeout: d.cfg.HeartbeatTimeout, WriteTimeout: d.cfg.HeartbeatTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return l, nil
}

// open is connect, followed by a first word: who are you? The error says what
// can be done.
func (d *dialer) open(ctx context.Context, addr string, as account) (*line, error) {
	l, err := d.connect(ctx, addr, as)
	if err == nil {
		if err = l.hello(ctx); err == nil {
			return l, nil
		}
		l.close()
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, fmt.Errorf("%s: %w", addr, ctxErr)
	}
	return nil, d.explain(addr, err)
}

// hello learns who the server is.
func (l *line) hello(ctx context.Context) error {
	v, err := l.do(ctx, "HELLO")
	if err != nil {
		return err
	}
	l.role, l.mode, l.id = identity(v)
	return nil
}

// identity reads the answer to HELLO.
func identity(v any) (role, mode string, id int64) {
	list, _ := v.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		switch list[i] {
		case "role":
			role, _ = list[i+1].(string)
		case "mode":
			mode, _ = list[i+1].(string)
		case "id":
			id, _ = list[i+1].(int64)
		}
	}
	return role, mode, id
}

// do sends one command. It blocks until there is an answer, for HeartbeatTimeout
// at most, or ctx ends, which closes the line.
func (l *line) do(ctx context.Context, args ...any) (any, error) {
	cmd := goredis.NewCmd(ctx, args...)
	l.run(ctx, []*goredis.Cmd{cmd})
	return cmd.Result()
}

// run sends commands in one piece and waits for all answers, like do.
func (l *line) run(ctx context.Context, cmds []*goredis.Cmd) {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	l.hold(true)
	defer l.hold(false)
	l.conn.begin()
	if len(cmds) == 1 {
		_ = l.client.Process(context.Background(), cmds[0]) // the command has it
		return
	}
	pipe := l.client.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd)
	}
	_, _ = pipe.Exec(context.Background()) // the commands have it
}

// longest asks for the longest string that the server takes.
func (l *line) longest(ctx context.Context) int {
	v, err := l.do(ctx, "CONFIG", "GET", "proto-max-bulk-len")
	if list, ok := v.([]any); err == nil && ok && len(list) == 2 {
		if text, ok := list[1].(string); ok {
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return n
			}
		}
	}
	return defaultBulk // we may not ask
}

// hold says whether a command is running: the client library does not like to be
// closed meanwhile.
func (l *line) hold(busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = busy
	if !busy && l.closed.Load() {
		_ = l.client.Close()
	}
}

// close ends the connection and whatever waits for it.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Swap(true) {
		return
	}
	_ = l.conn.Close()
	if !l.busy {
		_ = l.client.Close()
	}
}
