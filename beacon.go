package wyvern

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/lograte"
	"github.com/wyvern-pubsub/wyvern/internal/numbering"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// topicBeats is where publishers give signs of life on drivers that don't notice
// their end. It is printable, because brokers may want that, and reserved.
const topicBeats = "wyvern:beats"

// What a beat may say besides.
const (
	beatFresh = "fresh" // the publisher's identity is nobody else's, ever
	beatLast  = "last"  // it stops now, and all has been said
)

// beaconPatience is how long beacons wait for a driver that blocks. Events do
// so behind them.
const beaconPatience = time.Second

// beacon is the part of a publisher that speaks when nobody publishes. It goes
// through the same lock and half as events do, so that a data path that is stuck
// has no beacons either, and none overtakes what it speaks of.
type beacon struct {
	beats  bool
	fresh  bool              // the identity was made for this publisher
	ticks  int               // that the book doesn't know of yet
	series *numbering.Series // of the beats; they are not beaconed themselves
	// owed: the broker has come to refuse the topic of an event that it may have
	// dropped, so everybody is to be told. Not tried before again.
	owed   bool
	again  time.Time
	warned lograte.Limiter
	done   sync.WaitGroup
}

// start begins to send beacons, and beats if they are wanted, until the
// publisher closes. The first beat goes before any event, as far as it can. If
// the broker refuses it, nothing is started: nobody would know that we live.
func (b *beacon) start(p *Publisher, beats, fresh bool) error {
	b.beats, b.fresh = beats, fresh
	if beats {
		if err := b.round(p, true); errors.Is(err, ErrRefused) {
			return err
		}
	}
	b.done.Go(func() { b.run(p) })
	return nil
}

// wait waits for the end. The half is closed by then, so that nothing blocks.
func (b *beacon) wait() { b.done.Wait() }

func (b *beacon) run(p *Publisher) {
	ticker := time.NewTicker(numbering.Tick)
	defer ticker.Stop()
	last := time.Now()
	for due := last.Add(tracker.BeatInterval); ; {
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
		if err := b.round(p, beat); errors.Is(err, ErrRefused) {
			b.warned.Warn(p.log, "the broker refuses what says that this publisher lives, or what its last events were", "driver", p.name, "error", err)
		}
	}
}

// round sends what is due, a batch at a time. Others come in between. It returns
// the error of the last batch.
func (b *beacon) round(p *Publisher, beat bool) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), beaconPatience)
	defer cancel()
	for more := true; more; beat = false {
		if p.acquire(ctx) != nil {
			return err
		}
		p.book.Advance(b.ticks)
		b.ticks = 0
		more, err = b.batch(ctx, p, beat)
		b.tell(ctx, p)
		p.release()
	}
	return err
}

// tell tells everybody what can't be told on its topic. Caller holds the lock.
func (b *beacon) tell(ctx context.Context, p *Publisher) {
	now := time.Now()
	if !b.owed || now.Before(b.again) {
		return
	}
	b.again = now.Add(syncInterval)
	var f envelope.Fields
	e := Event{Action: ActionSync, Topic: TopicAll}
	e.fields(&f)
	if p.encode(&f, TopicAll) == nil {
		_, err := p.handOver(ctx)
		b.owed = err != nil
	}
}

// batch sends a batch, and says whether there may be more. Caller holds the
// lock.
func (b *beacon) batch(ctx context.Context, p *Publisher, beat bool) (more bool, err error) {
	if beat {
		b.beat(p, "")
	}
	first := len(p.batch)
	for p.room() {
		s := p.book.Beacon()
		if s == nil {
			break
		}
		b.add(p, s, s.Last(), "", "")
		more = !p.room()
	}
	n := 0
	if len(p.batch) > 0 {
		if n, err = p.half.Publish(ctx, p.batch); err != nil {
			more = false
		}
	}
	if errors.Is(err, ErrRefused) && n >= first && n < len(p.owners) {
		// The driver took events of that topic. It may have lost the last ones.
		b.owed = p.book.Refused(p.owners[n]) || b.owed
		n++
	}
	for _, s := range p.owners[max(n, first):] {
		p.book.Retry(s)
	}
	p.empty()
	return more, err
}

// farewell says again what the last numbers are that may not have been heard, and
// that there is an end: it is no loss then. Caller holds the lock for good.
func (b *beacon) farewell(ctx context.Context, p *Publisher) {
	if !b.beats {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beaconPatience)
	defer cancel()
	left := p.book.Recent()
	for ended := false; !ended; {
		for len(left) > 0 && p.room() {
			b.add(p, left[0], left[0].Last(), "", "")
			left = left[1:]
		}
		if p.room() {
			b.beat(p, beatLast)
			ended = true
		}
		_, err := p.half.Publish(ctx, p.batch)
		p.empty()
		if err != nil {
			return // silence will tell
		}
	}
}

// beat appends a beat to the batch.
func (b *beacon) beat(p *Publisher, says string) {
	if b.series == nil {
		// One that was handed over goes on.
		if b.series = p.book.Find(topicBeats); b.series == nil {
			b.series = p.book.Begin(topicBeats)
		}
	}
	if says == "" && b.fresh {
		says = beatFresh
	}
	if seq, err := p.book.Give(b.series); err == nil {
		b.add(p, b.series, seq, p.id, says)
	}
}

// add appends a beacon to the batch, or a beat, which has a key.
func (b *beacon) add(p *Publisher, s *numbering.Series, seq uint64, key, value string) {
	f := envelope.Fields{
		Action: actionBeacon, Key: key, Value: value, Topic: s.Topic(), Epoch: p.epoch, Seq: seq,
		Null: envelope.Table | envelope.Key | envelope.Value,
	}
	if key != "" {
		f.Null &^= envelope.Key
	}
	if value != "" {
		f.Null &^= envelope.Value
	}
	start := len(p.scratch)
	p.scratch = append(p.scratch, f.Topic...)
	body := len(p.scratch)
	p.scratch = envelope.Append(p.scratch, &f)
	p.batch = append(p.batch, driver.Message{Topic: p.scratch[start:body:body], Payload: p.scratch[body:]})
	p.owners = append(p.owners, s)
}
