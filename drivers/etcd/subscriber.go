package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/inbox"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
)

// courtesy is how long Subscribe waits, when all is known, until a server has
// begun to watch: what is published then need not be caught up on.
const courtesy = 50 * time.Millisecond

// subscriber is a driver.Subscriber.
type subscriber struct {
	conn  *conn
	cfg   driver.Config
	inbox *inbox.Inbox
	life  context.Context // ends with Close
	end   context.CancelFunc
	work  sync.WaitGroup // its goroutines
	wake  chan struct{}  // a value: there may be something to ask for, or to follow
	warn  lograte.Limiter

	stopped chan struct{} // closed when Close is done

	mu      sync.Mutex
	closed  bool
	topics  map[string]*watch
	all     *watch          // of a subscriber to all topics, else nil
	placing bool            // a goroutine sees to what is late
	todo    []*watch        // to be created on the stream
	cancels []int64         // to be cancelled there
	denied  []*watch        // not created, because the user may not; tried again later
	stream  *stream         // nil: none
	past    history         // of the cluster
	sound   map[uint64]bool // members whose progress notifications overtake nothing
	status  driver.Status

	fragments int // responses that were a piece
}

func newSubscriber(c *conn, cfg driver.Config) *subscriber {
	s := &subscriber{
		conn: c, cfg: cfg, inbox: inbox.New(cfg.Queue), wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		topics: make(map[string]*watch), sound: make(map[uint64]bool),
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// signal leaves a value in a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *subscriber) start() { s.work.Go(s.run) }

// holdAll makes it a subscriber to all topics, from now on.
func (s *subscriber) holdAll(ctx context.Context) error {
	prefix := s.conn.settings.prefix
	w := &watch{key: []byte(prefix), end: rangeEnd(prefix)}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTimeout)
	defer cancel()
	header, err := s.conn.revision(ctx, w.key, w.end)
	if err != nil {
		return explain(&doing{"read all below " + prefix, err}, s.conn.settings)
	}
	w.place(header.Revision)
	s.past.see(header)
	s.all, s.todo = w, []*watch{w}
	return nil
}

// Receive implements driver.Subscriber.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return s.inbox.Receive(ctx, dst)
}

// Subscribe implements driver.Subscriber. It returns when the cluster has told
// its revision: what is written from then on is received, however long it takes
// until that is watched.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return driver.ErrClosed
	}
	var fresh []*watch
	if s.all == nil {
		for _, topic := range topics {
			w := s.topics[topic]
			if w == nil {
				w = &watch{topic: []byte(topic), key: []byte(s.conn.settings.prefix + topic)}
				s.topics[strings.Clone(topic)] = w
			}
			if w.next == 0 {
				fresh = append(fresh, w)
			}
		}
	}
	s.mu.Unlock()
	var failed error
	for group := range slices.Chunk(fresh, maxOps) {
		if err := s.place(ctx, group, false); err != nil && failed == nil {
			failed = err
		}
	}
	if failed == nil && len(fresh) > 0 {
		s.linger(ctx, fresh[len(fresh)-1]) // they are created in order
	}
	return failed
}

// linger waits for a watch to be created, but not for long.
func (s *subscriber) linger(ctx context.Context, w *watch) {
	s.mu.Lock()
	if w.created || w.dropped || s.stream == nil || s.stream.blocked.Load() {
		s.mu.Unlock()
		return
	}
	if w.made == nil {
		w.made = make(chan struct{})
	}
	made := w.made
	s.mu.Unlock()
	timer := time.NewTimer(courtesy)
	defer timer.Stop()
	select {
	case <-made:
	case <-timer.C:
	case <-ctx.Done():
	case <-s.life.Done():
	}
}

// place finds out from where on topics are held. It blocks until that is known,
// or refused, or ctx ends; then the topics are left to placeLate. late says
// that this is placeLate, and nobody else who could tell waits.
func (s *subscriber) place(ctx context.Context, group []*watch, late bool) error {
	ops := make([]*pb.RequestOp, len(group))
	for i, w := range group {
		read := &pb.RangeRequest{Key: w.key, Limit: 1, KeysOnly: true}
		ops[i] = &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: read}}
	}
	request := &pb.TxnRequest{Success: ops}
	delay := backoff.Backoff{Min: s.cfg.ReconnectMin, Max: min(s.cfg.ReconnectMax, longestWait)}
	for {
		header, err := s.ask(ctx, request)
		switch {
		case err == nil:
			s.placed(group, header, late)
			return nil
		case refused(err) && len(group) > 1:
			// One of them is not allowed, or servers take fewer at once.
			first := s.place(ctx, group[:len(group)/2], late)
			if second := s.place(ctx, group[len(group)/2:], late); first == nil {
				first = second
			}
			return first
		case refused(err):
			s.leave(group)
			return explain(&doing{"watch " + string(group[0].key), err}, s.conn.settings)
		}
		if cause := s.over(ctx); cause != nil {
			s.leave(group)
			return cause
		}
		s.warn.Warn(s.cfg.Log, "etcd does not tell its revision; trying again", "error", explain(err, s.conn.settings))
		timer := time.NewTimer(delay.Next())
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.life.Done():
		}
		timer.Stop()
		if cause := s.over(ctx); cause != nil {
			s.leave(group)
			return fmt.Errorf("%w; etcd: %w", cause, explain(err, s.conn.settings))
		}
	}
}

// ask makes one attempt at a request that only reads.
func (s *subscriber) ask(ctx context.Context, request *pb.TxnRequest) (*pb.ResponseHeader, error) {
	ctx, cancel := context.WithTimeout(ctx, s.conn.patience)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	resp, err := s.conn.kv.Txn(ctx, request)
	if err != nil {
		return nil, err
	}
	return resp.Header, nil
}

// over says why nothing more is to be tried.
func (s *subscriber) over(ctx context.Context) error {
	if s.life.Err() != nil {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// placed notes from where on topics are held.
func (s *subscriber) placed(group []*watch, header *pb.ResponseHeader, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.see(header)
	for _, w := range group {
		if w.dropped || w.next != 0 {
			continue
		}
		w.place(header.Revision)
		if late && w.late {
			s.inbox.Add(driver.Message{Topic: w.topic, Notice: driver.Confirmed})
		}
		w.late = false
		s.todo = append(s.todo, w)
	}
	signal(s.wake)
}

// leave has topics placed when that can be done.
func (s *subscriber) leave(group []*watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range group {
		w.late = w.late || w.next == 0 && !w.dropped
	}
	if !s.placing && !s.closed {
		s.placing = true
		s.work.Go(s.placeLate)
	}
}

// placeLate places what nobody waits for any more.
func (s *subscriber) placeLate() {
	for {
		var group []*watch
		s.mu.Lock()
		for _, w := range s.topics {
			if w.late && len(group) < maxOps {
				group = append(group, w)
			}
		}
		if group == nil || s.closed {
			s.placing = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := s.place(s.life, group, true); err != nil {
			s.warn.Warn(s.cfg.Log, "topics can't be watched yet", "error", err)
			timer := time.NewTimer(s.cfg.ReconnectMax)
			select {
			case <-timer.C:
			case <-s.life.Done():
			}
			timer.Stop()
		}
	}
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(_ context.Context, topics ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return driver.ErrClosed
	}
	for _, topic := range topics {
		w := s.topics[topic]
		if w == nil {
			continue
		}
		delete(s.topics, topic)
		w.dropped = true
		if w.created {
			s.cancels = append(s.cancels, w.id)
			signal(s.wake)
		}
	}
	return nil
}

// heldLocked yields every watch that is placed.
func (s *subscriber) heldLocked(yield func(*watch) bool) {
	if s.all != nil {
		yield(s.all)
		return
	}
	for w := range maps.Values(s.topics) {
		if w.next != 0 && !yield(w) {
			return
		}
	}
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		<-s.stopped
		return nil
	}
	defer close(s.stopped)
	s.end()
	s.inbox.Close()
	s.work.Wait()
	s.conn.close()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	if s.stream != nil {
		status.Peers = 1
	}
	s.inbox.Status(&status)
	return status
}
