//go:build linux

package actor

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/driver"
)

const (
	networkAlias = "zmq_pubsub_driver"
	// subscribeTimeout is how long a session waits for a Subscribe, before it
	// tries again: a publisher may be away.
	subscribeTimeout = 2 * time.Second
	// unsubscribeTimeout is longer than any handler takes.
	unsubscribeTimeout = time.Minute
)

// session is one subscriber and what is done with it.
type session struct {
	name string
	log  *log
	sub  *wyvern.Subscriber
	pace pace // of the handler
	fail atomic.Bool

	cancel   context.CancelFunc
	wg       sync.WaitGroup // run
	requests chan request

	// Only run uses these.
	churn  time.Duration
	random *rand.Rand
	pool   []string
	taken  map[string]bool // of the pool; false: Subscribe has not returned nil yet
	await  []string        // of those held for ever: Await has not returned nil yet
	paused bool
}

// request is an order to a session, answered by closing done.
type request struct {
	order Order
	done  chan struct{}
}

func openSession(ctx context.Context, cfg NodeConfig, i int, log *log, logger *slog.Logger) (*session, error) {
	s := &session{
		name: sessionName(&cfg, i), log: log, churn: cfg.Churn,
		random:   rand.New(rand.NewPCG(cfg.Seed, uint64(i))),
		pool:     cfg.Pool,
		taken:    make(map[string]bool),
		requests: make(chan request),
	}
	s.pace.changed = make(chan struct{})
	ctx, s.cancel = context.WithCancel(ctx)
	log.write(validator.Record{Kind: validator.KindOpen, At: int64(Now()), Session: s.name, Node: nodeOf(&cfg, i)})
	topics := append([]string(nil), cfg.Topics...)
	for _, i := range s.random.Perm(len(s.pool))[:min(cfg.Some, len(s.pool))] {
		topics = append(topics, s.pool[i])
		s.taken[s.pool[i]] = false
	}
	s.await = topics
	for _, topic := range topics {
		s.record(validator.KindSubscribe, topic)
	}
	var err error
	s.sub, err = wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Alias:   networkAlias,
		Topics:  topics,
		Connect: cfg.Connect[i%len(cfg.Connect)],
		Handler: s.handle,
		Config:  driver.Config{ID: s.name, ReconnectMax: cfg.ReconnectMax, HandshakeTimeout: cfg.HandshakeTimeout},
		Log:     logger.With("session", s.name),
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.wg.Go(func() { s.run(ctx) })
	return s, nil
}

// errFail is what a handler returns that was told to fail.
var errFail = errors.New("told to fail")

// handle is the handler: it logs what it sees.
func (s *session) handle(ctx context.Context, e wyvern.Event) error {
	if s.fail.Load() {
		return errFail
	}
	r := validator.Record{
		Kind: validator.KindEvent, At: int64(Now()), Session: s.name,
		Publisher: e.Publisher, Epoch: e.Epoch, Seq: e.Seq, Topic: e.Topic,
	}
	if e.Action == wyvern.ActionSync {
		r.Kind, r.Reason = validator.KindResync, string(e.Reason)
	} else {
		r.Worker, r.N, _ = parseKey(e.Key)
		r.Sum = Sum(e.Topic, e.Table, e.Key, e.Action, e.Value)
	}
	if s.pace.wait(ctx) {
		r.End = int64(Now())
	}
	s.log.write(r)
	return nil
}

// run takes and drops topics, and obeys, until ctx ends.
func (s *session) run(ctx context.Context) {
	s.settle(ctx)
	next := time.NewTimer(s.pause())
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			if !s.paused {
				s.change(ctx)
			}
			next.Reset(s.pause())
		case r := <-s.requests:
			switch r.order.Do {
			case DoPause:
				s.paused = true
				for range 2 { // Await, then what churn has left
					s.settle(ctx)
				}
			case DoGo:
				s.paused = false
			}
			close(r.done)
		}
	}
}

// pause is the time until the next change.
func (s *session) pause() time.Duration {
	if s.churn <= 0 {
		return time.Duration(1<<63 - 1)
	}
	return time.Duration(s.random.ExpFloat64() * float64(s.churn))
}

// change takes or drops one topic of the pool, or several.
func (s *session) change(ctx context.Context) {
	if len(s.await) > 0 {
		s.settle(ctx)
		return
	}
	var add, drop []string
	for _, i := range s.random.Perm(len(s.pool))[:1+s.random.IntN(2)] {
		topic := s.pool[i]
		confirmed, held := s.taken[topic]
		if !held || !confirmed && s.random.IntN(2) == 0 {
			add = append(add, topic)
		} else {
			drop = append(drop, topic)
		}
	}
	s.drop(ctx, drop)
	s.add(ctx, add)
}

// add takes topics, some of which may have been asked for before.
func (s *session) add(ctx context.Context, topics []string) {
	if len(topics) == 0 {
		return
	}
	for _, topic := range topics {
		if _, held := s.taken[topic]; !held {
			s.taken[topic] = false
			s.record(validator.KindSubscribe, topic)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTimeout)
	defer cancel()
	if s.sub.Subscribe(ctx, topics...) != nil {
		return // held, but perhaps not by every publisher: again later
	}
	s.confirm(topics)
}

func (s *session) confirm(topics []string) {
	for _, topic := range topics {
		if confirmed, pooled := s.taken[topic]; pooled && confirmed {
			continue
		} else if pooled {
			s.taken[topic] = true
		}
		s.record(validator.KindSubscribed, topic)
	}
}

func (s *session) drop(ctx context.Context, topics []string) {
	if len(topics) == 0 {
		return
	}
	for _, topic := range topics {
		s.record(validator.KindUnsubscribe, topic)
		delete(s.taken, topic)
	}
	ctx, cancel := context.WithTimeout(ctx, unsubscribeTimeout)
	defer cancel()
	if s.sub.Unsubscribe(ctx, topics...) != nil {
		return
	}
	for _, topic := range topics {
		s.record(validator.KindUnsubscribed, topic)
	}
}

// settle tries to have everything confirmed that was asked for.
func (s *session) settle(ctx context.Context) {
	if len(s.await) > 0 {
		ctx, cancel := context.WithTimeout(ctx, subscribeTimeout)
		defer cancel()
		if s.sub.Await(ctx) == nil {
			s.confirm(s.await)
			s.await = nil
		}
		return
	}
	var pending []string
	for topic, confirmed := range s.taken {
		if !confirmed {
			pending = append(pending, topic)
		}
	}
	s.add(ctx, pending)
}

// obey carries out an order.
func (s *session) obey(ctx context.Context, o Order) {
	switch o.Do {
	case DoSlow:
		s.pace.set(time.Duration(o.Millis) * time.Millisecond)
		return
	case DoFail:
		s.fail.Store(o.N != 0)
		return
	}
	r := request{o, make(chan struct{})}
	select {
	case s.requests <- r:
		<-r.done
	case <-ctx.Done():
	}
}

// close ends the session.
func (s *session) close() {
	s.cancel()
	s.wg.Wait()
	s.sub.Close()
	s.record(validator.KindClosed, "")
}
