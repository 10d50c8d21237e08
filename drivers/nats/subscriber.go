package nats

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// subscriber implements driver.Subscriber, Awaiter and Statuser on plain
// subjects. It has one link, or, if it is direct, one to each publisher.
type subscriber struct {
	settings *settings
	inbox    *inbox
	all      bool
	done     sync.WaitGroup // goroutines that belong to no link
	ctx      context.Context
	stop     context.CancelFunc

	mu     sync.Mutex
	closed bool
	held   map[string][]byte // topics by subject
	feeds  map[string]*feed  // by server
}

func newSubscriber(s *settings) *subscriber {
	sub := &subscriber{
		settings: s, inbox: newInbox(s.inbox), all: s.cfg.AllTopics,
		held: make(map[string][]byte), feeds: make(map[string]*feed),
	}
	sub.ctx, sub.stop = context.WithCancel(context.Background())
	return sub
}

func openSubscriber(ctx context.Context, l *link) (driver.Subscriber, error) {
	s := newSubscriber(l.settings)
	s.feeds[""] = s.newFeed(l, strings.Join(redacted(l.options.Servers), ","))
	if err := l.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Receive implements driver.Subscriber.
func (s *subscriber) Receive(ctx context.Context, dst []driver.Message) (n int, err error) {
	return s.inbox.take(ctx, dst)
}

// edit changes the topics held and returns the subjects concerned.
func (s *subscriber) edit(ctx context.Context, topics []string, hold bool) ([]string, []*feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	subjects := make([]string, len(topics))
	for i, topic := range topics {
		subject := s.settings.subjects.of(topic)
		if _, held := s.held[subject]; hold && !held {
			s.held[subject] = []byte(topic)
		} else if !hold {
			delete(s.held, subject)
		}
		subjects[i] = subject
	}
	feeds := make([]*feed, 0, len(s.feeds))
	for _, f := range s.feeds {
		feeds = append(feeds, f)
	}
	return subjects, feeds, nil
}

// Subscribe implements driver.Subscriber.
func (s *subscriber) Subscribe(ctx context.Context, topics ...string) error {
	subjects, feeds, err := s.edit(ctx, topics, true)
	if err != nil {
		return err
	}
	results := make(chan error, len(feeds))
	for _, f := range feeds {
		go func() { results <- f.change(ctx, subjects, true) }()
	}
	for range feeds {
		err = errors.Join(err, <-results)
	}
	if s.ctx.Err() != nil {
		return driver.ErrClosed
	}
	return err
}

// Unsubscribe implements driver.Subscriber.
func (s *subscriber) Unsubscribe(ctx context.Context, topics ...string) error {
	subjects, feeds, err := s.edit(ctx, topics, false)
	for _, f := range feeds {
		f.change(ctx, subjects, false)
	}
	return err
}

// Await implements driver.Awaiter.
func (s *subscriber) Await(ctx context.Context) error {
	s.mu.Lock()
	feeds := make([]*feed, 0, len(s.feeds))
	for _, f := range s.feeds {
		feeds = append(feeds, f)
	}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return driver.ErrClosed
	}
	for _, f := range feeds {
		for {
			sess, err := f.link.await(ctx)
			if err != nil {
				return err
			}
			if sess.flush(ctx) == nil {
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			select {
			case <-sess.lost:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// Close implements driver.Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	feeds := s.feeds
	s.feeds = map[string]*feed{}
	s.mu.Unlock()
	s.stop()
	s.inbox.close()
	for _, f := range feeds {
		f.close()
	}
	s.done.Wait()
	return nil
}

// Status implements driver.Statuser.
func (s *subscriber) Status() driver.Status {
	status := s.inbox.counters()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if f.link.connected() {
			status.Peers++
		}
	}
	return status
}
