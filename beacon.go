package wyvern

import (
	"context"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/numbering"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// topicBeats is where publishers give signs of life on drivers that don't notice
// their end. It is printable, because brokers may want that, and reserved.
const topicBeats = "wyvern:beats"

// beaconPatience is how long beacons wait for a driver that blocks. Events do
// so behind them.
const beaconPatience = time.Second

// beacon is the part of a publisher that speaks when nobody publishes. It goes
// through the same lock and half as events do, so that a data path that is stuck
// has no beacons either, and none overtakes what it speaks of.
type beacon struct {
	beats  bool
	ticks  int               // that the book doesn't know of yet
	series *numbering.Series // of the beats; they are not beaconed themselves
	done   sync.WaitGroup
}

// start begins to send beacons, and beats if they are wanted, until the
// publisher closes.
func (b *beacon) start(p *Publisher, beats bool) {
	b.beats = beats
	b.done.Go(func() { b.run(p) })
}

// wait waits for the end. The half is closed by then, so that nothing blocks.
func (b *beacon) wait() { b.done.Wait() }

func (b *beacon) run(p *Publisher) {
	ticker := time.NewTicker(numbering.Tick)
	defer ticker.Stop()
	last := time.Now()
	for due := last; ; {
		select {
		case <-p.closing:
			return
		case <-ticker.C:
		}
		now := time.Now()
		ticks := int(now.Sub(last) / numbering.Tick)
		last = last.Add(time.Duration(ticks) * numbering.Tick)
		beat := b.beats && !now.Before(due)
		if beat {
			if due = due.Add(tracker.BeatInterval); due.Before(now) {
				due = now.Add(tracker.BeatInterval) // it slept: no need to make up for it
			}
		}
		b.ticks += ticks
		b.round(p, beat)
	}
}

// round sends what is due, a batch at a time. Others come in between.
func (b *beacon) round(p *Publisher, beat bool) {
	ctx, cancel := context.WithTimeout(context.Background(), beaconPatience)
	defer cancel()
	for more := true; more; beat = false {
		if p.acquire(ctx) != nil {
			return
		}
		p.book.Advance(b.ticks)
		b.ticks = 0
		more = b.batch(ctx, p, beat)
		p.release()
	}
}

// batch sends a batch, and says whether there may be more. Caller holds the
// lock.
func (b *beacon) batch(ctx context.Context, p *Publisher, beat bool) (more bool) {
	if beat {
		if b.series == nil {
			b.series = p.book.Begin(topicBeats)
		}
		if seq, err := p.book.Give(b.series); err == nil {
			b.add(p, b.series, seq, p.id)
		}
	}
	var first int
	if beat {
		first = len(p.batch)
	}
	for p.room() {
		s := p.book.Beacon()
		if s == nil {
			break
		}
		b.add(p, s, s.Last(), "")
		more = !p.room()
	}
	n := 0
	if len(p.batch) > 0 {
		var err error
		if n, err = p.half.Publish(ctx, p.batch); err != nil {
			more = false
		}
	}
	for _, s := range p.owners[max(n, first):] {
		p.book.Retry(s)
	}
	clear(p.batch)
	p.batch, p.owners, p.scratch = p.batch[:0], p.owners[:0], p.scratch[:0]
	return more
}

// add appends a beacon to the batch, or a beat, which has a key.
func (b *beacon) add(p *Publisher, s *numbering.Series, seq uint64, key string) {
	f := envelope.Fields{
		Action: actionBeacon, Key: key, Topic: s.Topic(), Epoch: p.epoch, Seq: seq,
		Null: envelope.Table | envelope.Key | envelope.Value,
	}
	if key != "" {
		f.Null &^= envelope.Key
	}
	start := len(p.scratch)
	p.scratch = append(p.scratch, f.Topic...)
	body := len(p.scratch)
	p.scratch = envelope.Append(p.scratch, &f)
	p.batch = append(p.batch, driver.Message{Topic: p.scratch[start:body:body], Payload: p.scratch[body:]})
	p.owners = append(p.owners, s)
}
