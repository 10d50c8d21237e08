package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/inbox"
)

// cursor is how far a topic's stream was read. wanted's mu guards what follows
// key.
type cursor struct {
	topic  *topic
	name   []byte
	key    string
	bucket int

	ready bool // pos is known
	dirty bool // it was read since pos was compared with the stream
	pos   position
}

// replay implements driver.Subscriber and Statuser with streams.
type replay struct {
	site   *site
	inbox  *inbox.Inbox
	wanted *wanted

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// wanted's mu guards these.
	readers map[int]*reader
	source  *driver.Source // the last message's

	lost, malformed atomic.Uint64
}

func openReplay(ctx context.Context, s *site) (driver.Subscriber, error) {
	if s.cfg.AllTopics {
		return nil, errAllTopics
	}
	// To see that it can be done.
	f := newFleet(s, true, true)
	defer f.close()
	if err := f.route(ctx); err != nil {
		return nil, err
	}
	r := &replay{site: s, inbox: inbox.New(inboxBytes), readers: make(map[int]*reader)}
	r.wanted = newWanted(r.inbox)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// readerLocked returns the reader of a bucket: in a cluster each has one, since a
// command can only name keys of one slot.
func (r *replay) readerLocked(bucket int) *reader {
	if r.site.mode != cluster {
		bucket = 0
	}
	rd := r.readers[bucket]
	if rd == nil {
		rd = newReader(r)
		r.readers[bucket] = rd
		r.wg.Go(rd.read)
		r.wg.Go(rd.keep)
		r.wg.Go(func() { r.site.follow(r.ctx, rd.seat, rd.leave) })
	}
	return rd
}

// Receive implements driver.Subscriber.
func (r *replay) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	return r.inbox.Receive(ctx, dst)
}

// Subscribe implements driver.Subscriber. A topic is in force once the end of
// its stream is known: what is added later is read, sooner or later.
func (r *replay) Subscribe(ctx context.Context, topics ...string) error {
	return r.wanted.subscribe(ctx, r.ctx, topics, func(t *topic) {
		name := []byte(t.name)
		t.cursor = &cursor{topic: t, name: name, key: key(r.site.prefix, name), bucket: bucket(name)}
		rd := r.readerLocked(t.cursor.bucket)
		rd.cursors[t.name] = t.cursor
		rd.poke()
	})
}

// Unsubscribe implements driver.Subscriber.
func (r *replay) Unsubscribe(ctx context.Context, topics ...string) error {
	if r.ctx.Err() != nil {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.wanted.mu.Lock()
	defer r.wanted.mu.Unlock()
	for _, name := range topics {
		if t := r.wanted.dropLocked(name); t != nil {
			delete(r.readerLocked(t.cursor.bucket).cursors, name)
		}
	}
	return nil
}

// Close implements driver.Subscriber.
func (r *replay) Close() error {
	r.wanted.mu.Lock()
	r.cancel()
	for _, rd := range r.readers {
		rd.close()
	}
	r.wanted.mu.Unlock()
	r.inbox.Close()
	r.wg.Wait()
	return nil
}

// Status implements driver.Statuser.
func (r *replay) Status() driver.Status {
	st := driver.Status{Lost: r.lost.Load(), Malformed: r.malformed.Load()}
	r.wanted.mu.Lock()
	for _, rd := range r.readers {
		st.Peers += rd.lines.peers()
	}
	r.wanted.mu.Unlock()
	r.inbox.Status(&st)
	return st
}
