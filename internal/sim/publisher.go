package sim

import (
	"fmt"

	"github.com/wyvern-pubsub/wyvern/internal/numbering"
)

// tickMS is numbering.Tick.
const tickMS = int64(numbering.Tick / 1e6)

// topicNames are those of a run: some are prefixes of others.
var topicNames = func() (names [maxTopics]string) {
	for i := range names {
		names[i] = fmt.Sprintf("%.*s", i+1, "abcdefghijklmnopqrstuvwxyz")
	}
	return names
}()

func topicOf(name string) int { return len(name) - 1 }

// publisher is a publisher with its host. Its numbers and beacons are the
// product's.
type publisher struct {
	w     *world
	i     int
	id    string
	life  uint32 // of the process
	epoch uint64
	book  *numbering.Book
	alive bool
	doze  bool
	ticks uint64
	beats uint64
	sent  [maxSubs]uint64 // messages on a lossy driver, to each
	fifo  [maxSubs]int64

	log   []entry // on an ordered driver; its index is the offset
	inbox []item  // while asleep
}

// entry is an event in the log.
type entry struct {
	topic    uint16
	idx      uint32
	seq      uint64
	accepted int64
}

func (p *publisher) reset() {
	*p = publisher{w: p.w, i: p.i, id: fmt.Sprint("p", p.i), life: p.life, log: p.log[:0], inbox: p.inbox[:0]}
	p.start()
}

// start begins an incarnation.
func (p *publisher) start() {
	w := p.w
	p.life++
	p.alive, p.doze = true, false
	p.epoch = w.src.Uint64() | 1
	quota := w.plan.quota
	if quota == 0 {
		quota = 4 * maxTopics
	}
	p.book = numbering.New(quota, w.plan.lossy)
	p.ticks, p.beats = 0, 0
	p.log = p.log[:0]
	p.inbox = p.inbox[:0]
	w.cal.at(w.upTo(10), item{kind: kindPublish, pub: uint8(p.i), conn: p.life})
	if w.plan.lossy {
		w.cal.at(w.upTo(tickMS), item{kind: kindTick, pub: uint8(p.i), conn: p.life})
	}
	w.log(-1, -1, p.i, "publisher %d starts, epoch %x", p.i, p.epoch)
}

// die ends the process at once.
func (p *publisher) die() {
	p.alive, p.doze = false, false
	p.life++
	p.w.log(-1, -1, p.i, "publisher %d dies", p.i)
	for a := range p.w.plan.pubs {
		for s := range p.w.plan.subs {
			if l := p.w.links[a][s]; !p.w.plan.lossy && l.session.open && l.session.pub == p {
				l.broken(p.w.roll(1 << 15))
			}
		}
	}
}

func (p *publisher) rise(it *item) {
	if !p.alive {
		p.w.check.restarted(p.i)
		p.start()
	}
}

// sleep stops the process for a while. Its clock stops too.
func (p *publisher) sleep(ms int64) {
	if p.alive && !p.doze {
		p.doze = true
		p.w.cal.at(ms, item{kind: kindWakePub, pub: uint8(p.i), conn: p.life})
	}
}

func (p *publisher) wake(it *item) {
	if it.conn != p.life || !p.doze {
		return
	}
	p.doze = false
	inbox := p.inbox
	p.inbox = nil
	for i := range inbox {
		p.w.links[inbox[i].link][inbox[i].sub].up(&inbox[i])
	}
	p.inbox = append(p.inbox, inbox[:0]...)
}

// chance publishes something, perhaps, and plans the next time.
func (p *publisher) chance(it *item) {
	if it.conn != p.life {
		return
	}
	w := p.w
	w.cal.at(w.upTo(2*w.weather.publish), *it)
	if p.doze {
		return
	}
	// Few topics are busy, and most of the others quiet.
	t := int(w.src.Uint64() >> 32 % uint64(w.plan.topics))
	if !w.roll(1 << 12) {
		t = t * t / w.plan.topics
	}
	if w.plan.quota > 0 && !w.storm {
		// A topic that was forgotten is not beaconed: its next event tells.
		t = int(w.src.Uint64() >> 32 % uint64(w.plan.topics))
	}
	p.publish(t)
}

func (p *publisher) publish(t int) {
	w := p.w
	s := p.book.Find(topicNames[t])
	if s == nil {
		if n := len(w.check.history[p.i][t]); n > 0 && w.check.history[p.i][t][n-1].epoch == p.epoch {
			w.stats.strike(faultEviction)
		}
		s = p.book.Begin(topicNames[t])
	}
	seq, err := p.book.Give(s)
	if err != nil {
		panic(err)
	}
	p.book.Accepted(s)
	idx := w.check.accepted(p.i, t, p.epoch, seq)
	w.stats.Events++
	w.log(-1, t, p.i, "publisher %d accepts event %d of topic %d, number %d", p.i, idx, t, seq)
	if w.plan.lossy {
		p.cast(item{kind: kindEvent, pub: uint8(p.i), topic: uint16(t), idx: idx, epoch: p.epoch, seq: seq})
		return
	}
	p.log = append(p.log, entry{uint16(t), idx, seq, w.cal.now})
	for a := range w.plan.pubs {
		for s := range w.plan.subs {
			if l := w.links[a][s]; l.session.open && l.session.pub == p && !l.session.ringing {
				l.session.ringing = true
				w.cal.at(1, item{kind: kindFlush, link: uint8(a), sub: uint8(s), conn: l.session.conn})
			}
		}
	}
}

// cast sends a message on a lossy driver.
func (p *publisher) cast(it item) {
	w := p.w
	for s := range w.plan.subs {
		if it.kind == kindBeat || w.filter[p.i][s]&(1<<it.topic) != 0 {
			it.sub = uint8(s)
			p.send(s, it)
		}
	}
}

// lonely says, now and then while all is well, that one message to a
// subscriber is lost, and no other for a while.
func (w *world) lonely(s int) bool {
	if w.storm || w.cal.now < w.check.fresh || w.cal.now > w.check.settled-20_000 || w.snipe[s] > w.cal.now || !w.roll(1<<11) {
		return false
	}
	w.snipe[s] = w.cal.now + 4000
	return true
}

// send sends to one subscriber, through the weather.
func (p *publisher) send(s int, it item) {
	w := p.w
	p.sent[s]++
	it.n = p.sent[s]
	held := it.kind == kindBeat || w.subs[s].held[it.topic] != nil
	lost := faults
	switch {
	case w.apart[p.i][s] > w.cal.now:
		lost = faultPartition
	case w.roll(w.weather.loss):
		lost = faultLoss
	case it.kind == kindEvent && w.lonely(s):
		lost = faultSnipe
	}
	if lost != faults {
		if held {
			w.stats.strike(lost)
		}
		w.log(s, int(it.topic), p.i, "%s %d on its way from %d to %d: %s", kindNames[it.kind], it.idx, p.i, s, faultNames[lost])
		return
	}
	delay := w.upTo(5)
	if w.plan.window {
		if w.roll(w.weather.swap) {
			delay += w.upTo(1200)
		}
	} else {
		if w.roll(w.weather.delay) {
			delay += w.upTo(200)
			w.stats.strike(faultDelay)
		}
		delay = max(w.cal.now+delay, p.fifo[s]) - w.cal.now
		p.fifo[s] = w.cal.now + delay
	}
	w.cal.at(delay, it)
	if w.roll(w.weather.double) {
		it.again = true
		w.cal.at(w.upTo(1500), it)
	}
}

// tick sends beacons and beats.
func (p *publisher) tick(it *item) {
	if it.conn != p.life {
		return
	}
	p.w.cal.at(tickMS, *it)
	if p.doze {
		return
	}
	p.book.Advance(1)
	for s := p.book.Beacon(); s != nil; s = p.book.Beacon() {
		t := topicOf(s.Topic())
		list := p.w.check.history[p.i][t]
		i := len(list) - 1
		for list[i].seq != s.Last() { // of a series that was forgotten, and began anew
			i--
		}
		p.cast(item{kind: kindBeacon, pub: uint8(p.i), topic: uint16(t), idx: uint32(i), epoch: p.epoch, seq: s.Last()})
	}
	if p.ticks++; p.ticks%(1000/uint64(tickMS)) == 0 {
		p.beats++
		p.cast(item{kind: kindBeat, pub: uint8(p.i), epoch: p.epoch, seq: p.beats})
	}
}

// filtered applies a change of a subscription, unless a later one did so before.
func (w *world) filtered(it *item) {
	op := &w.filterOp[it.pub][it.sub][it.topic]
	if it.conn < *op {
		return
	}
	*op = it.conn
	if it.n == 1 {
		w.filter[it.pub][it.sub] |= 1 << it.topic
	} else {
		w.filter[it.pub][it.sub] &^= 1 << it.topic
	}
}
