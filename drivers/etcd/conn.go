package etcd

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/wyvern-pubsub/wyvern/driver"
)

const (
	// streamWindow and connWindow are how much a server may send that nobody
	// has read yet. They are set so that they don't grow by themselves.
	streamWindow = 1 << 20
	connWindow   = 2 << 20
	// keepalive is how often a connection is tried; it is as often as gRPC
	// lets clients do so. What is quiet is noticed sooner by other means.
	keepalive = 10 * time.Second
)

// conn is the connection of one half to a cluster: etcd's client, used for
// finding servers, for TLS and for tokens. Requests are made below it, so that
// the half itself decides what is tried again, and when.
type conn struct {
	settings *settings
	patience time.Duration // for one answer
	client   *clientv3.Client
	dialer   *dialer
	kv       pb.KVClient
	watch    pb.WatchClient
	status   pb.MaintenanceClient
}

// connect blocks until a server has answered, or all have failed, for
// cfg.HandshakeTimeout at most.
func connect(ctx context.Context, s *settings, cfg driver.Config) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	anonymous := *s
	anonymous.user, anonymous.password = "", ""
	c, err := dial(ctx, &anonymous, cfg)
	if err != nil {
		return nil, err
	}
	_, err = c.revision(ctx, []byte(s.prefix), nil)
	if s.user != "" {
		// A server has answered, so whoever logs in now learns whether that
		// works. A log-in alone would wait for ever and not say for what.
		c.close()
		if err == nil || refused(err) || notDone(err) {
			if c, err = dial(ctx, s, cfg); err == nil {
				_, err = c.revision(ctx, []byte(s.prefix), nil)
			}
		}
	}
	if err == nil || status.Code(err) == codes.PermissionDenied { // there may be single topics that it may read
		return c, nil
	}
	if c != nil {
		c.close()
	}
	return nil, explain(err, s)
}

// dial makes a conn. It logs in, if there is a user, and otherwise doesn't
// wait.
func dial(ctx context.Context, s *settings, cfg driver.Config) (*conn, error) {
	d := &dialer{conns: make(map[*tracked]struct{}), timeout: s.dialTimeout}
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end) // the opening's end must not end what was opened
	options := []grpc.DialOption{
		grpc.WithContextDialer(d.dial),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithStatsHandler(departures{}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: cfg.ReconnectMin, Multiplier: 1.6, Jitter: 0.2, MaxDelay: cfg.ReconnectMax},
			MinConnectTimeout: s.dialTimeout,
		}),
	}
	if s.tls != nil && s.tls.ServerName != "" {
		options = append(options, grpc.WithTransportCredentials(named{credentials.NewTLS(s.tls), s.tls.ServerName}))
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: s.endpoints, TLS: s.tls, Username: s.user, Password: s.password,
		DialTimeout:       cfg.HandshakeTimeout,
		DialKeepAliveTime: keepalive, DialKeepAliveTimeout: cfg.HeartbeatTimeout,
		MaxUnaryRetries: 2, // the second one with a new token
		Logger:          zap.NewNop(), Context: life,
		DialOptions: options,
	})
	if stopped := stop(); err != nil || !stopped {
		end()
		if client != nil {
			client.Close()
		}
		if err == nil {
			err = ctx.Err()
		}
		return nil, err
	}
	c := &conn{settings: s, patience: cfg.HeartbeatTimeout / 2, client: client, dialer: d}
	below := client.ActiveConnection()
	below.Connect()
	c.kv, c.watch, c.status = pb.NewKVClient(below), pb.NewWatchClient(below), pb.NewMaintenanceClient(below)
	return c, nil
}

// named are credentials by which a server must have a certain name, whatever
// its address: etcd's client would ask for that of the address.
type named struct {
	credentials.TransportCredentials
	name string
}

// ClientHandshake implements credentials.TransportCredentials.
func (n named) ClientHandshake(ctx context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return n.TransportCredentials.ClientHandshake(ctx, n.name, c)
}

// Clone implements credentials.TransportCredentials.
func (n named) Clone() credentials.TransportCredentials {
	return named{n.TransportCredentials.Clone(), n.name}
}

// close ends the connection. What waits for an answer gets an error.
func (c *conn) close() {
	c.client.Close() // its error is that it was closed
	c.dialer.close()
}

// connected says whether a server can be reached, as far as is known.
func (c *conn) connected() bool {
	return c.client.ActiveConnection().GetState() == connectivity.Ready
}

// revision returns the header of the present state of the database: what was
// written before is at or before its revision. The user must be allowed to read
// the key, or the range.
func (c *conn) revision(ctx context.Context, key, end []byte) (*pb.ResponseHeader, error) {
	resp, err := c.kv.Range(ctx, &pb.RangeRequest{Key: key, RangeEnd: end, Limit: 1, KeysOnly: true})
	if err != nil {
		return nil, err
	}
	return resp.Header, nil
}

// mayWrite reports why the user can't write below the prefix. It writes
// nothing: servers check the permission also of what a transaction does not do.
func (c *conn) mayWrite(ctx context.Context) error {
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(c.settings.prefix)}}}
	_, err := c.kv.Txn(ctx, &pb.TxnRequest{Failure: []*pb.RequestOp{put}})
	if err != nil && refused(err) {
		return explain(&doing{"write below " + c.settings.prefix, err}, c.settings)
	}
	return nil // other trouble passes, or shows when there is something to write
}

// attempt is one request that is not made again by others.
type attempt struct {
	departed atomic.Bool // it was given to a connection, or that was tried
	peer     peer.Peer
}

type attemptKey struct{}

// begin returns the context for an attempt.
func (a *attempt) begin(ctx context.Context) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

// departures is told by gRPC when a request goes.
type departures struct{}

// TagRPC implements stats.Handler.
func (departures) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (departures) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutPayload); !ok {
		return
	}
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		a.departed.Store(true)
	}
}

// TagConn implements stats.Handler.
func (departures) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (departures) HandleConn(context.Context, stats.ConnStats) {}
