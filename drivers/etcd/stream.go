package etcd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// stream carries all watches of a subscriber. One goroutine asks, and one takes
// the answers.
type stream struct {
	pb.Watch_WatchClient
	sub    *subscriber
	ctx    context.Context
	cancel context.CancelCauseFunc

	heard   atomic.Int64  // when it last brought something; time.Time.UnixNano
	blocked atomic.Bool   // the inbox is full
	member  atomic.Uint64 // who answers; 0: not known

	source *driver.Source // of its messages; only who takes uses it

	// sub.mu guards what follows.
	asked []*watch // in the order in which they were asked for; nil: a question
	byID  map[int64]*watch
}

var (
	errTokenExpired = errors.New("the log-in has expired")
	errSilent       = errors.New("the server gave no sign of life")
	errOtherCluster = errors.New("the servers belong to different clusters")
)

// run keeps a stream open until Close.
func (s *subscriber) run() {
	delay := backoff.Backoff{Min: s.cfg.ReconnectMin, Max: s.cfg.ReconnectMax}
	for s.life.Err() == nil {
		began := time.Now()
		err := s.session()
		if s.life.Err() != nil {
			return
		}
		if time.Since(began) > s.cfg.ReconnectMax {
			delay.Reset()
		}
		wait := delay.Next()
		if errors.Is(err, errTokenExpired) && time.Since(began) > time.Second {
			wait = 0 // nothing is wrong
		}
		s.warn.Warn(s.cfg.Log, "lost the stream of etcd's events; it goes on where it was", "error", explain(err, s.conn.settings), "in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.life.Done():
		}
		timer.Stop()
	}
}

// session has one stream until it ends, and returns why it did.
func (s *subscriber) session() error {
	if err := s.checkHistory(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(s.life)
	defer cancel(nil)
	st := &stream{sub: s, ctx: ctx, cancel: cancel, byID: make(map[int64]*watch)}
	slow := time.AfterFunc(s.cfg.HandshakeTimeout, func() { cancel(context.DeadlineExceeded) })
	defer slow.Stop()
	var err error
	// Large responses come in pieces; one event never does.
	if st.Watch_WatchClient, err = s.conn.watch.Watch(clientv3.WithRequireLeader(ctx), grpc.MaxCallRecvMsgSize(1<<31-1)); err != nil {
		return st.cause(err)
	}
	slow.Stop()
	st.heard.Store(time.Now().UnixNano())
	s.attach(st)
	var asking sync.WaitGroup
	asking.Go(st.ask)
	err = st.take()
	cancel(err)
	s.detach()
	asking.Wait()
	return st.cause(err)
}

// cause returns why the stream ended, rather than that.
func (st *stream) cause(err error) error {
	if cause := context.Cause(st.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// attach has everything that is held watched on a new stream.
func (s *subscriber) attach(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream, s.todo, s.cancels, s.denied = st, nil, nil, nil
	for w := range s.heldLocked {
		w.renew()
		s.todo = append(s.todo, w)
	}
}

func (s *subscriber) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.stream.byID {
		w.renew()
	}
	s.stream = nil
}

// ask sends what is to be asked for, and now and then for a sign of life and for
// progress.
func (st *stream) ask() {
	s := st.sub
	life := time.NewTicker(s.cfg.HeartbeatInterval)
	defer life.Stop()
	var progress, denied <-chan time.Time
	if s.conn.settings.progress > 0 {
		t := time.NewTicker(s.conn.settings.progress)
		defer t.Stop()
		progress = t.C
	}
	t := time.NewTicker(s.cfg.ReconnectMax)
	defer t.Stop()
	denied = t.C
	var asked time.Time // for a sign of life; zero: not
	for {
		if err := st.sendDue(); err != nil {
			return // who takes learns why
		}
		select {
		case <-st.ctx.Done():
			return
		case <-s.wake:
		case <-denied:
			s.mu.Lock()
			s.todo, s.denied = append(s.todo, s.denied...), nil
			s.mu.Unlock()
		case <-progress:
			if s.trusts(st.ctx, st.member.Load()) {
				if st.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}) != nil {
					return
				}
			}
		case now := <-life.C:
			heard := time.Unix(0, st.heard.Load())
			switch {
			case st.blocked.Load() || now.Sub(heard) < s.cfg.HeartbeatInterval:
				asked = time.Time{}
			case asked.IsZero() || asked.Before(heard):
				asked = now
				if st.sendQuestion() != nil {
					return
				}
			case now.Sub(asked) >= s.cfg.HeartbeatTimeout-s.cfg.HeartbeatInterval:
				if p, ok := peer.FromContext(st.Context()); ok {
					s.conn.dialer.cut(p.Addr, heard.Add(time.Millisecond))
				}
				st.cancel(errSilent)
				return
			}
		}
	}
}

// sendDue sends all that is to be created and cancelled.
func (st *stream) sendDue() error {
	s := st.sub
	for {
		var request *pb.WatchRequest
		s.mu.Lock()
		switch {
		case s.stream != st:
		case len(s.cancels) > 0:
			id := s.cancels[0]
			s.cancels = s.cancels[1:]
			request = &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
		case len(s.todo) > 0:
			w := s.todo[0]
			s.todo = s.todo[1:]
			if w.dropped {
				s.mu.Unlock()
				continue
			}
			w.passed = 0
			st.asked = append(st.asked, w)
			request = create(&pb.WatchCreateRequest{
				Key: w.key, RangeEnd: w.end, StartRevision: w.start(), Fragment: true, ProgressNotify: true,
			})
		}
		s.mu.Unlock()
		if request == nil {
			return nil
		}
		if err := st.Send(request); err != nil {
			return err
		}
	}
}

func create(r *pb.WatchCreateRequest) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}}
}

// sendQuestion asks for something that any server answers, whatever it has to
// tell: a watch that sees nothing.
func (st *stream) sendQuestion() error {
	st.sub.mu.Lock()
	st.asked = append(st.asked, nil)
	st.sub.mu.Unlock()
	return st.Send(create(&pb.WatchCreateRequest{
		Key:     []byte(st.sub.conn.settings.prefix),
		Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE},
	}))
}

// take takes what comes until the stream ends.
func (st *stream) take() error {
	s := st.sub
	var msgs []driver.Message
	for {
		resp, err := st.Recv()
		if err != nil {
			return err
		}
		st.heard.Store(time.Now().UnixNano())
		if st.source == nil {
			st.source = &driver.Source{}
			if p, ok := peer.FromContext(st.Context()); ok {
				st.source.Address = p.Addr.String()
			}
			st.member.Store(resp.Header.GetMemberId())
		}
		if msgs, err = st.response(msgs[:0], resp); err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue
		}
		s.inbox.Add(msgs...)
		clear(msgs)
		if s.inbox.Full() {
			st.blocked.Store(true)
			if err := s.inbox.Wait(s.life); err != nil {
				return err
			}
			st.heard.Store(time.Now().UnixNano())
			st.blocked.Store(false)
		}
	}
}

// response takes one response, and appends to msgs what the core gets of it.
func (st *stream) response(msgs []driver.Message, resp *pb.WatchResponse) ([]driver.Message, error) {
	s := st.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if resp.Header != nil && !s.past.hear(resp.Header) {
		return msgs, errOtherCluster
	}
	if resp.Created {
		return msgs, st.createdLocked(resp)
	}
	if resp.WatchId == clientv3.InvalidWatchID {
		if len(resp.Events) == 0 && !resp.Canceled {
			for _, w := range st.byID {
				w.progress(resp.Header.GetRevision())
			}
		}
		return msgs, nil
	}
	w := st.byID[resp.WatchId]
	if w == nil {
		return msgs, nil
	}
	if resp.Canceled {
		delete(st.byID, resp.WatchId)
		w.renew()
		if w.dropped {
			return msgs, nil
		}
		s.todo = append(s.todo, w)
		signal(s.wake)
		if resp.CompactRevision != 0 {
			// What lies between is gone. It goes on where there is something.
			w.place(resp.CompactRevision - 1)
			if plant.On(plant.CompactedUntold) {
				return msgs, nil
			}
			s.status.Lost++
			msgs = append(msgs, driver.Message{Topic: w.topic, Notice: driver.Behind, Source: st.source})
		}
		return msgs, nil
	}
	if len(resp.Events) == 0 {
		w.progress(resp.Header.GetRevision()) // of this watch alone
		return msgs, nil
	}
	if plant.On(plant.LatestOnly) {
		resp.Events = resp.Events[len(resp.Events)-1:]
	}
	for _, e := range resp.Events {
		if w.takes(e.Kv) && !w.dropped && e.Type == mvccpb.Event_PUT {
			msgs = st.appendLocked(msgs, w, e.Kv)
		}
	}
	if resp.Fragment {
		s.fragments++
	} else {
		w.complete()
	}
	if plant.On(plant.ProgressOvertakes) {
		for _, other := range st.byID {
			other.place(max(other.next-1, resp.Header.GetRevision()))
		}
	}
	return msgs, nil
}

// appendLocked appends an event.
func (st *stream) appendLocked(msgs []driver.Message, w *watch, kv *mvccpb.KeyValue) []driver.Message {
	m := driver.Message{Topic: w.topic, Payload: kv.Value, Source: st.source}
	if w.topic == nil {
		m.Topic = kv.Key[len(w.key):]
	}
	if len(kv.Value) > st.sub.cfg.MaxPayload {
		st.sub.status.Malformed++
		st.sub.warn.Warn(st.sub.cfg.Log, "dropped an event that is too large", "topic", string(m.Topic), "bytes", len(kv.Value))
		if len(m.Topic) == 0 {
			return msgs
		}
		m.Payload, m.Notice = nil, driver.Gap
	}
	return append(msgs, m)
}

// createdLocked takes the answer to the oldest request.
func (st *stream) createdLocked(resp *pb.WatchResponse) error {
	s := st.sub
	if len(st.asked) == 0 {
		return errors.New("the server answered what it was not asked")
	}
	w := st.asked[0]
	st.asked = st.asked[1:]
	switch {
	case resp.Canceled && badToken(resp.CancelReason) && s.conn.settings.user != "":
		return errTokenExpired
	case resp.Canceled && w == nil: // answered all the same
	case resp.Canceled:
		s.warn.Warn(s.cfg.Log, "etcd refuses to watch a topic; trying again", "key", string(w.key), "reason", resp.CancelReason)
		s.denied = append(s.denied, w)
	case w == nil || w.dropped:
		s.cancels = append(s.cancels, resp.WatchId)
		signal(s.wake)
	default:
		w.id, w.created, w.born = resp.WatchId, true, resp.Header.GetRevision()
		st.byID[w.id] = w
		if w.made != nil {
			close(w.made)
			w.made = nil
		}
	}
	return nil
}
