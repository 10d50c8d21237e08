package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// maxDenied is how many topics are remembered to be refused.
	maxDenied = 1 << 12
)

// publisher is a driver.Publisher.
type publisher struct {
	conn    *conn
	cfg     driver.Config
	life    context.Context // ends with Close
	end     context.CancelFunc
	planner planner           // of Publish
	denied  map[string]denial // of Publish, by topic
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
	p := &publisher{conn: c, cfg: cfg, slots: make(chan struct{}, inFlight), stopped: make(chan struct{}), denied: make(map[string]denial)}
	p.ops.Store(maxOps)
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// denial is why a topic is refused, and until when that is believed.
type denial struct {
	err   error
	until time.Time
}

// blame is an error that is one message's own.
type blame struct {
	at  int // its index
	err error
}

func (b *blame) Error() string { return b.err.Error() }
func (b *blame) Unwrap() error { return b.err }

// outcome is what is known of a message.
type outcome uint8

const (
	unsent outcome = iota
	atFault
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
	// why is the fault of the message behind msgs.
	good, why := p.acceptable(msgs)
	outcomes := make([]outcome, len(msgs))
	err := p.write(ctx, good, outcomes)
	var b *blame
	end := len(good)
	owed := func(i int, all bool) bool {
		_, denied := p.denied[string(msgs[i].Topic)]
		return outcomes[i] != accepted && outcomes[i] != atFault && !denied && (all || i < end) && len(msgs[i].Payload) <= p.cfg.MaxPayload
	}
	for errors.As(err, &b) {
		// Those before it may be in a later layer, and are still to go. So may
		// those behind it be, where some have gone already.
		if b.at < end {
			end, why = b.at, b.err
		}
		p.deny(&msgs[b.at], b.err)
		outcomes[b.at] = atFault
		all := errors.Is(why, driver.ErrRefused) && slices.Contains(outcomes[end+1:], accepted)
		var rest []driver.Message
		var index []int
		for i := range msgs {
			if owed(i, all) {
				rest, index = append(rest, msgs[i]), append(index, i)
			}
		}
		late := make([]outcome, len(rest))
		err = p.write(ctx, rest, late)
		for i, o := range late {
			outcomes[index[i]] = o
		}
		if errors.As(err, &b) {
			b.at = index[b.at]
		}
	}
	n, bytes, open := 0, 0, false
	for n < len(outcomes) && outcomes[n] == accepted {
		bytes += len(msgs[n].Payload)
		n++
	}
	for _, o := range outcomes[n:] {
		open = open || o >= unsure
	}
	p.count(n, bytes)
	if err == nil {
		err = why
	}
	if open {
		return n, fmt.Errorf("%w: %w", err, driver.ErrUnsure)
	}
	return n, err
}

// acceptable returns the messages before the first that is too large, or of a
// topic that was refused a moment ago, and why that is not acceptable.
func (p *publisher) acceptable(msgs []driver.Message) ([]driver.Message, error) {
	for i := range msgs {
		if size := len(msgs[i].Payload); size > p.cfg.MaxPayload {
			return msgs[:i], fmt.Errorf("%w: %d bytes, more than %d", driver.ErrTooLarge, size, p.cfg.MaxPayload)
		}
		if d, known := p.denied[string(msgs[i].Topic)]; known {
			if time.Now().Before(d.until) {
				return msgs[:i], d.err
			}
			delete(p.denied, string(msgs[i].Topic))
		}
	}
	return msgs, nil
}

// deny remembers that a topic is refused: those behind it would be written twice,
// over and over.
func (p *publisher) deny(m *driver.Message, err error) {
	if !errors.Is(err, driver.ErrRefused) {
		return
	}
	if len(p.denied) >= maxDenied {
		clear(p.denied)
	}
	p.denied[string(m.Topic)] = denial{err, time.Now().Add(p.cfg.ReconnectMax)}
}

// write has messages written, and notes what became of each. The error is a
// *blame if one of them is at fault.
func (p *publisher) write(ctx context.Context, msgs []driver.Message, outcomes []outcome) error {
	p.planner.ops = int(p.ops.Load())
	for _, layer := range p.planner.plan(msgs) {
		if err := p.layer(ctx, msgs, layer, outcomes); err != nil {
			return err
		}
	}
	return nil
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

// layer sends chunks, some at once, and returns the error of one that failed:
// that of the first message at fault only if nothing else is wrong. It notes what
// became of each message.
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
	var first error // chunks are in the order of messages
	for _, err := range errs {
		var b *blame
		switch {
		case err != nil && !errors.As(err, &b):
			return err
		case first == nil:
			first = err
		}
	}
	return first
}

// send has a chunk written, however often it takes, until ctx ends. A chunk
// that servers find too large, or refuse because of one of its keys, is cut in
// two.
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
		case len(of) > 1 && (tooLarge(err) || is(err, rpctypes.ErrGRPCTooManyOps) || is(err, rpctypes.ErrGRPCPermissionDenied)):
			if is(err, rpctypes.ErrGRPCTooManyOps) {
				p.ops.Store(int64(max(1, len(of)/2)))
			}
			if err := p.send(ctx, msgs, of[:len(of)/2], outcomes); err != nil {
				return err
			}
			return p.send(ctx, msgs, of[len(of)/2:], outcomes)
		case tooLarge(err):
			size := len(msgs[of[0]].Payload)
			return &blame{of[0], driver.WithHint(fmt.Errorf("%w: %d bytes, more than etcd's --max-request-bytes (1.5 MiB if it isn't set)", driver.ErrTooLarge, size),
				"raise --max-request-bytes on every member")}
		case refused(err):
			why := explain(&doing{fmt.Sprintf("write %s%s", p.conn.settings.prefix, msgs[of[0]].Topic), err}, p.conn.settings)
			if is(err, rpctypes.ErrGRPCPermissionDenied) {
				return &blame{of[0], fmt.Errorf("%w: %w", driver.ErrRefused, why)}
			}
			return why
		case departed && !notDone(err):
			note(unsure)
		}
		if cause := p.over(ctx); cause != nil {
			return fmt.Errorf("%w; etcd: %w", cause, explain(err, p.conn.settings))
		}
		p.warn.Warn(p.cfg.Log, "etcd does not take what is published; trying again", "messages", len(of), "error", explain(err, p.conn.settings))
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
