package etcd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
)

const (
	// inFlight is how many transactions may be under way at once.
	inFlight = 8
	// settle is how long Publish waits, when its context has ended, for the
	// answer to what has gone: to know it is worth more than to be prompt.
	settle = time.Second
	// longestWait bounds the delay between two attempts of one transaction: an
	// event waits for it.
	longestWait = time.Second
)

// publisher is a driver.Publisher.
type publisher struct {
	conn    *conn
	cfg     driver.Config
	life    context.Context // ends with Close
	end     context.CancelFunc
	planner planner // of Publish
	slots   chan struct{}
	ops     atomic.Int64 // of a transaction, as far as servers take it
	warn    lograte.Limiter

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup // of Publish
	stopped chan struct{}  // closed when Close is done
	status  driver.Status
}

func newPublisher(c *conn, cfg driver.Config) *publisher {
	p := &publisher{conn: c, cfg: cfg, slots: make(chan struct{}, inFlight), stopped: make(chan struct{})}
	p.ops.Store(maxOps)
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// outcome is what is known of a message.
type outcome uint8

const (
	unsent outcome = iota
	unsure
	accepted
)

// Publish implements driver.Publisher: what it accepts is in the database. It
// has no queue: the caller's batch is what waits.
func (p *publisher) Publish(ctx context.Context, msgs []driver.Message) (int, error) {
	if !p.enter() {
		return 0, driver.ErrClosed
	}
	defer p.calls.Done()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var large error
	for i := range msgs {
		if size := len(msgs[i].Payload); size > p.cfg.MaxPayload {
			large = fmt.Errorf("%w: %d bytes, more than %d", driver.ErrTooLarge, size, p.cfg.MaxPayload)
			msgs = msgs[:i]
			break
		}
	}
	outcomes := make([]outcome, len(msgs))
	p.planner.ops = int(p.ops.Load())
	var err error
	for _, layer := range p.planner.plan(msgs) {
		if err = p.layer(ctx, msgs, layer, outcomes); err != nil {
			break
		}
	}
	n, bytes, open := 0, 0, false
	for n < len(outcomes) && outcomes[n] == accepted {
		bytes += len(msgs[n].Payload)
		n++
	}
	for _, o := range outcomes[n:] {
		open = open || o != unsent
	}
	p.count(n, bytes)
	switch {
	case err == nil:
		return n, large
	case open:
		return n, fmt.Errorf("%w: %w", err, driver.ErrUnsure)
	}
	return n, err
}

// enter begins a call that Close waits for.
func (p *publisher) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls.Add(1)
	return true
}

func (p *publisher) count(n, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Messages += uint64(n)
	p.status.Bytes += uint64(bytes)
}

// layer sends chunks, some at once, and returns the error of one that failed. It
// notes what became of each message.
func (p *publisher) layer(ctx context.Context, msgs []driver.Message, chunks []chunk, outcomes []outcome) error {
	if len(chunks) == 1 {
		return p.send(ctx, msgs, chunks[0].of, outcomes)
	}
	errs := make([]error, len(chunks))
	var all sync.WaitGroup
	for i, c := range chunks {
		p.slots <- struct{}{} // it is given back by who ends with ctx
		all.Go(func() {
			defer func() { <-p.slots }()
			errs[i] = p.send(ctx, msgs, c.of, outcomes)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// send has a chunk written, however often it takes, until ctx ends. A chunk
// that servers find too large is cut in two.
func (p *publisher) send(ctx context.Context, msgs []driver.Message, of []int, outcomes []outcome) error {
	request := p.request(msgs, of)
	delay := backoff.Backoff{Min: p.cfg.ReconnectMin, Max: min(p.cfg.ReconnectMax, longestWait)}
	note := func(o outcome) {
		for _, i := range of {
			outcomes[i] = o
		}
	}
	for {
		departed, err := p.try(ctx, request)
		switch {
		case err == nil:
			note(accepted)
			return nil
		case len(of) > 1 && (tooLarge(err) || is(err, rpctypes.ErrGRPCTooManyOps)):
			if is(err, rpctypes.ErrGRPCTooManyOps) {
				p.ops.Store(int64(max(1, len(of)/2)))
			}
			if err := p.send(ctx, msgs, of[:len(of)/2], outcomes); err != nil {
				return err
			}
			return p.send(ctx, msgs, of[len(of)/2:], outcomes)
		case tooLarge(err):
			size := len(msgs[of[0]].Payload)
			return driver.WithHint(fmt.Errorf("%w: %d bytes, more than etcd's --max-request-bytes (1.5 MiB if it isn't set)", driver.ErrTooLarge, size),
				"raise --max-request-bytes on every member")
		case refused(err):
			return explain(&doing{fmt.Sprintf("write %s%s", p.conn.settings.prefix, msgs[of[0]].Topic), err}, p.conn.settings)
		case departed && !notDone(err):
			note(unsure)
		}
		if cause := p.over(ctx); cause != nil {
			return fmt.Errorf("%w; etcd: %w", cause, explain(err, p.conn.settings))
		}
		p.warn.Warn(p.cfg.Log, "etcd does not take what is published; trying again", "messages", len(of), "error", err)
		timer := time.NewTimer(delay.Next())
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-p.life.Done():
		}
		timer.Stop()
		if cause := p.over(ctx); cause != nil {
			return fmt.Errorf("%w; etcd: %w", cause, explain(err, p.conn.settings))
		}
	}
}

// over says why nothing more is to be tried.
func (p *publisher) over(ctx context.Context) error {
	if p.life.Err() != nil {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// request is a put, or a transaction of them.
func (p *publisher) request(msgs []driver.Message, of []int) *pb.TxnRequest {
	size := 0
	for _, i := range of {
		size += len(p.conn.settings.prefix) + len(msgs[i].Topic)
	}
	keys := make([]byte, 0, size)
	ops := make([]*pb.RequestOp, len(of))
	for n, i := range of {
		start := len(keys)
		keys = append(append(keys, p.conn.settings.prefix...), msgs[i].Topic...)
		put := &pb.PutRequest{Key: keys[start:len(keys):len(keys)], Value: msgs[i].Payload}
		ops[n] = &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
	}
	return &pb.TxnRequest{Success: ops}
}

// try makes one attempt. departed says whether it may have reached a server.
func (p *publisher) try(ctx context.Context, request *pb.TxnRequest) (departed bool, err error) {
	var a attempt
	began := time.Now()
	// It outlives ctx for a little, but not the publisher.
	tryCtx, cancel := context.WithTimeout(p.life, p.conn.patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if a.departed.Load() {
			timer := time.NewTimer(settle)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-tryCtx.Done():
			}
		}
		cancel()
	})
	defer stop()
	if len(request.Success) == 1 {
		_, err = p.conn.kv.Put(a.begin(tryCtx), request.Success[0].GetRequestPut(), grpc.Peer(&a.peer))
	} else {
		_, err = p.conn.kv.Txn(a.begin(tryCtx), request, grpc.Peer(&a.peer))
	}
	if err != nil && tryCtx.Err() != nil && p.life.Err() == nil && time.Since(began) >= p.conn.patience/2 {
		// Not a word in all that time: the connection may be dead.
		if p.conn.dialer.cut(a.peer.Addr, began) {
			p.warn.Warn(p.cfg.Log, "etcd does not answer; connecting again", "server", a.peer.Addr)
		}
	}
	return a.departed.Load(), err
}

// Flush implements driver.Publisher. What Publish accepted is with the cluster:
// there is nothing to wait for.
func (p *publisher) Flush(context.Context) error {
	if p.life.Err() != nil {
		return driver.ErrClosed
	}
	return nil
}

// Close implements driver.Publisher.
func (p *publisher) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if !first {
		<-p.stopped
		return nil
	}
	defer close(p.stopped)
	p.end()
	p.calls.Wait()
	p.conn.close()
	return nil
}

// Status implements driver.Statuser.
func (p *publisher) Status() driver.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	if !p.closed && p.conn.connected() {
		s.Peers = 1
	}
	return s
}
