package zmq

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

const (
	// pushReconnectMax bounds the delay between attempts to reach the service
	// of the same host: they are cheap, and events wait.
	pushReconnectMax = time.Second
	// pushWrite bounds one write, so that there is room in the queue again
	// before the whole of a large batch is through.
	pushWrite = 512 << 10
)

// pusher is PUSH: a worker's side of the IPC hop. It connects when the first
// event comes. Events wait in a bounded queue, as the bytes of the wire, and
// are written in batches that grow by themselves while a write is under way.
type pusher struct {
	cfg    driver.Config
	hello  zmtp.HandshakeConfig
	target endpoint

	refusals  refusals
	malformed atomic.Uint64
	messages  atomic.Uint64
	bytes     atomic.Uint64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	queue   []byte // whole messages, not being written
	writing []byte // the batch being written; what is left of it after a failure
	written int    // bytes of it that were
	spare   []byte // an empty buffer
	link    *link
	why     error // why there is none
	started bool
	closed  bool
	token   uint64        // of the latest Flush
	echoed  uint64        // the latest that the service has confirmed
	sent    uint64        // bytes written, ever
	sure    uint64        // how many of them were confirmed, or reported by a Flush
	doubt   int           // connections that ended with some that were not
	changed chan struct{} // made by who waits
}

func openPusher(cfg driver.Config) (*pusher, error) {
	if err := checkParams(&cfg); err != nil {
		return nil, err
	}
	if err := checkPath(cfg.Socket); err != nil {
		return nil, err
	}
	p := &pusher{
		cfg:      cfg,
		hello:    zmtp.HandshakeConfig{SocketType: zmtp.Push, Properties: ours(&cfg)},
		target:   endpoint{"unix", cfg.Socket},
		refusals: refusals{log: cfg.Log, what: "service refused"},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// Publish queues. It blocks while the queue is full: the service is absent or
// slow.
func (p *pusher) Publish(ctx context.Context, msgs []driver.Message) (int, error) {
	for i := range msgs {
		if err := p.push(ctx, &msgs[i]); err != nil {
			return i, err
		}
	}
	return len(msgs), nil
}

func (p *pusher) push(ctx context.Context, m *driver.Message) error {
	if len(m.Payload) > p.cfg.MaxPayload {
		return driver.ErrTooLarge
	}
	size := zmtp.Message2Size(len(m.Topic), len(m.Payload))
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return driver.ErrClosed
		}
		waiting := p.waitingLocked()
		if waiting == 0 || int64(waiting+size) <= p.cfg.Queue {
			first := len(p.queue) == 0
			p.queue = zmtp.AppendMessage2(p.queue, m.Topic, m.Payload)
			if !p.started {
				p.started = true
				p.wg.Go(p.run)
			}
			link := p.link
			p.mu.Unlock()
			if first && link != nil {
				link.ring()
			}
			p.messages.Add(1)
			p.bytes.Add(uint64(len(m.Payload)))
			return nil
		}
		changed := p.changedLocked()
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return p.explain(ctx.Err())
		}
	}
}

// waitingLocked is how many bytes are still to be written.
func (p *pusher) waitingLocked() int { return len(p.queue) + len(p.writing) - p.written }

// explain adds to a time-out why nothing moved.
func (p *pusher) explain(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil && p.why != nil {
		return driver.WithHint(fmt.Errorf("%w: the service at %s can't be reached: %w", err, p.target, p.why), "is the publisher service running on this host?")
	}
	return fmt.Errorf("%w: the service at %s is not taking events", err, p.target)
}

// Flush waits until the service has read everything, and, where it can, has
// confirmed that. When the connection is lost meanwhile, before that, the rest
// is sent to the next service; what became of the part that was written nobody
// can tell, and the error says so.
func (p *pusher) Flush(ctx context.Context) error {
	asked := (*link)(nil)
	var token, sent uint64
	p.mu.Lock()
	doubt := p.doubt
	p.mu.Unlock()
	for {
		p.mu.Lock()
		closed, changed := p.closed, p.changedLocked()
		empty := p.waitingLocked() == 0
		k, idle := p.link, !p.started
		if empty && k != nil && k != asked && k.pings.Load() {
			// Written, but a write is only the kernel's word.
			p.token++
			asked, token, sent = k, p.token, p.sent
			var context [8]byte
			binary.BigEndian.PutUint64(context[:], token)
			k.send(zmtp.AppendPing(nil, 0, context[:]))
		}
		confirmed := k != nil && k == asked && p.echoed >= token
		if confirmed {
			p.sure = max(p.sure, sent)
		}
		done := empty && (idle || k != nil && !k.pings.Load()) || confirmed
		lost := p.doubt != doubt
		p.mu.Unlock()
		switch {
		case closed:
			return driver.ErrClosed
		case done && lost:
			return errUnconfirmed
		case done:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p.explain(ctx.Err())
		}
	}
}

// Close implements driver.Publisher. What is queued is dropped.
func (p *pusher) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.cancel()
		p.notifyLocked()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return nil
}

// Status implements driver.Statuser.
func (p *pusher) Status() driver.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := driver.Status{
		Messages:  p.messages.Load(),
		Bytes:     p.bytes.Load(),
		Malformed: p.malformed.Load(),
		Refused:   p.refusals.count.Load(),
		Retained:  int64(p.waitingLocked()),
	}
	if p.link != nil {
		st.Peers = 1
	}
	return st
}

// changedLocked returns a channel that is closed at the next change.
func (p *pusher) changedLocked() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// notifyLocked wakes everyone who waits for a change.
func (p *pusher) notifyLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// run connects again and again.
func (p *pusher) run() {
	pause := &backoff.Backoff{Min: min(p.cfg.ReconnectMin, pushReconnectMax), Max: min(p.cfg.ReconnectMax, pushReconnectMax)}
	for p.ctx.Err() == nil {
		up, err := p.connect()
		if p.ctx.Err() != nil {
			return
		}
		if isRefusal(err) { // it will do the same again: not at once
			p.refusals.add(p.target.String(), err)
		} else if up {
			pause.Reset()
			p.cfg.Log.Info("service lost", "socket", p.target.address, "reason", err)
		}
		p.mu.Lock()
		p.why = err
		p.mu.Unlock()
		if await(p.ctx, pause.Next()) != nil {
			return
		}
	}
}

// connect makes one connection and serves it until it ends.
func (p *pusher) connect() (up bool, err error) {
	k, rest, release, err := openLink(p.ctx, p.target, p.hello, &p.cfg)
	if err != nil {
		return false, err
	}
	defer release()
	k.patient = true // a service that is stopped still has what was sent
	k.mute = true
	k.malformed, k.report = &p.malformed, &p.refusals
	k.onCommand = func(name string, data []byte) ([]driver.Message, error) {
		if name == zmtp.CommandPong {
			p.pong(k, data)
		}
		return nil, nil
	}
	p.mu.Lock()
	p.link, p.why = k, nil
	p.notifyLocked()
	p.mu.Unlock()

	in := newInbox() // stays empty: the service sends nothing but control frames
	var reader sync.WaitGroup
	reader.Go(func() {
		k.read(in, rest, maxRequest, nil)
		k.close(errClosed)
	})
	k.write(p.feed)
	close(in.closed)
	reader.Wait()

	p.mu.Lock()
	p.link = nil
	if k.pings.Load() && p.sent > p.sure {
		p.sure = p.sent
		p.doubt++
	}
	p.notifyLocked()
	p.mu.Unlock()
	return true, k.reason
}

// feed writes batches until the queue is empty.
func (p *pusher) feed(conn net.Conn) error {
	for {
		p.mu.Lock()
		if len(p.writing) == 0 && len(p.queue) > 0 {
			p.writing, p.queue, p.spare = p.queue, p.spare[:0], nil
		}
		batch, from := p.writing, p.written
		p.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		n, err := conn.Write(batch[from:min(from+pushWrite, len(batch))])
		p.mu.Lock()
		p.written += n
		p.sent += uint64(n)
		switch {
		case err != nil && plant.On(plant.PushForgets):
			p.writing, p.written = nil, 0
		case err != nil:
			p.writing, p.written = unsent(batch, p.written), 0
		case p.written == len(batch):
			p.spare, p.writing, p.written = batch[:0], nil, 0
		}
		p.notifyLocked()
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// unsent returns the part of a batch that is to be sent again after n bytes of
// it were written: from the first message that was not written whole.
func unsent(batch []byte, n int) []byte {
	whole := 0
	for off := 0; off < n; {
		f, size, _, err := zmtp.ParseFrame(batch[off:], len(batch))
		if err != nil || size == 0 || off+size > n {
			break
		}
		off += size
		if !f.More {
			whole = off
		}
	}
	return batch[whole:]
}

// pong notes that the service has read everything up to a Flush.
func (p *pusher) pong(k *link, context []byte) {
	if len(context) != 8 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == k {
		p.echoed = max(p.echoed, min(p.token, binary.BigEndian.Uint64(context)))
		p.notifyLocked()
	}
}
