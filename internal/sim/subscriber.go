package sim

import (
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// pollMS is how often a subscriber looks whether something is due.
const pollMS = 16

// subscriber is a node. What it believes is the product's tracker's affair; it
// does what wyvern.Subscriber does.
type subscriber struct {
	w       *world
	i       int
	tracker *tracker.Tracker
	held    [maxTopics]*holding
	list    []*holding
	ops     uint32
	naps    uint32
	churns  uint32

	rate, lag int64 // its clock: parts of 1024, and milliseconds that it stood still
	slept     int64 // since when
	doze      bool
	wall      int64 // by how much its clock was set
	sick      int64 // until when the handler fails
	inbox     []item

	latest [maxPubs]uint64 // the highest number of a message, for counting
	known  [maxPubs]known
	who    map[*tracker.Publisher]int
	told   [maxTopics]int64 // when it was last told to resync
}

// holding is a topic from Subscribe to Unsubscribe.
type holding struct {
	topic    *tracker.Topic
	i        int
	gen      uint32
	returned bool // Subscribe has
}

// known is what a subscriber knows of a publisher.
type known struct {
	epoch uint64
	pub   *tracker.Publisher
	heard int64 // ordered: by its clock
	seen  uint64
	gone  bool
}

// waiting is an event that waits in the tracker.
type waiting struct {
	idx        uint32
	epoch, seq uint64
}

func (s *subscriber) reset() {
	w := s.w
	*s = subscriber{w: w, i: s.i, ops: s.ops, naps: s.naps + 1, churns: s.churns, list: s.list[:0], inbox: s.inbox[:0], who: make(map[*tracker.Publisher]int)}
	s.rate = 1024
	if w.roll(1 << 15) {
		s.rate = 980 + w.rand.Int64N(88)
	}
	o := tracker.Options{Held: s.each, Spread: time.Second, Seed: w.src.Uint64()}
	if w.plan.lossy {
		o.Lossy, o.LostAfter = true, 3500*time.Millisecond
		if w.plan.window {
			o.Window, o.Patience = 4<<w.rand.IntN(5), time.Second
		}
	}
	s.tracker = tracker.New(o)
	for t := range w.plan.topics {
		s.told[t] = -1 << 40
		if w.roll(1 << 15) {
			s.subscribe(t)
		}
	}
	w.cal.at(w.upTo(pollMS), item{kind: kindPoll, sub: uint8(s.i), conn: s.naps})
	s.restless(w.weather.churn)
}

// restless begins to change subscriptions so often.
func (s *subscriber) restless(ms int64) {
	s.churns++
	if ms > 0 {
		s.w.cal.at(s.w.upTo(2*ms), item{kind: kindChurn, sub: uint8(s.i), conn: s.churns})
	}
}

// each is what the tracker asks.
func (s *subscriber) each(yield func(*tracker.Topic) bool) {
	for _, h := range s.list {
		if !yield(h.topic) {
			return
		}
	}
}

// clock is monotonic time by the subscriber's own clock, which stands still
// while it sleeps.
func (s *subscriber) clock() int64 {
	at := s.w.cal.now
	if s.doze {
		at = s.slept
	}
	at = (at - s.lag) * s.rate >> 10
	if plant.On(plant.WallClock) {
		at += s.wall
	}
	return at
}

func (s *subscriber) now() time.Duration { return time.Duration(s.clock()) * time.Millisecond }

func (s *subscriber) sleep(ms int64) {
	s.doze, s.slept = true, s.w.cal.now
	s.w.cal.at(ms, item{kind: kindWakeSub, sub: uint8(s.i), conn: s.naps})
}

func (s *subscriber) wake(it *item) {
	if it.conn != s.naps || !s.doze {
		return
	}
	s.naps++
	s.doze = false
	s.lag += s.w.cal.now - s.slept
	inbox := s.inbox
	s.inbox = nil
	for i := range inbox {
		s.w.links[inbox[i].link][inbox[i].sub].down(&inbox[i])
	}
	s.inbox = append(s.inbox, inbox[:0]...)
	s.w.cal.at(1, item{kind: kindPoll, sub: uint8(s.i), conn: s.naps})
}

// subscribe holds a topic.
func (s *subscriber) subscribe(t int) {
	w := s.w
	s.ops++
	h := &holding{topic: tracker.NewTopic(topicNames[t]), i: t, gen: s.ops}
	s.held[t] = h
	s.list = append(s.list, h)
	w.check.subscribed(s.i, t, h.gen)
	w.log(s.i, t, -1, "subscriber %d subscribes to topic %d", s.i, t)
	if w.storm {
		w.stats.strike(faultChurn)
	}
	if w.plan.lossy {
		s.filter(t, 1)
		s.confirmed(h)
		return
	}
	waits := false
	for a := range w.plan.pubs {
		waits = w.links[a][s.i].subscribe(t) || waits
	}
	if !waits {
		s.confirmed(h)
	}
}

// filter tells the publishers of a lossy driver, some later than others.
func (s *subscriber) filter(t int, on uint64) {
	s.ops++
	for p := range s.w.plan.pubs {
		s.w.cal.at(s.w.upTo(50), item{kind: kindFilter, pub: uint8(p), sub: uint8(s.i), topic: uint16(t), conn: s.ops, n: on})
	}
}

// confirmed notes that Subscribe returned.
func (s *subscriber) confirmed(h *holding) {
	h.returned = true
	s.w.check.confirmed(s.i, h.i)
	s.w.log(s.i, h.i, -1, "subscriber %d: the subscription of topic %d counts", s.i, h.i)
}

func (s *subscriber) unsubscribe(t int) {
	h := s.held[t]
	if h == nil {
		return
	}
	s.held[t] = nil
	for i := range s.list {
		if s.list[i] == h {
			s.list = append(s.list[:i], s.list[i+1:]...)
			break
		}
	}
	h.topic.Drop()
	s.w.check.dropped(s.i, t)
	s.w.log(s.i, t, -1, "subscriber %d drops topic %d", s.i, t)
	if s.w.storm {
		s.w.stats.strike(faultChurn)
	}
	if s.w.plan.lossy {
		s.filter(t, 0)
		return
	}
	for a := range s.w.plan.pubs {
		s.w.links[a][s.i].unsubscribe(t)
	}
}

// churn changes a subscription.
func (s *subscriber) churn(it *item) {
	w := s.w
	if it.conn != s.churns {
		return
	}
	w.cal.at(w.upTo(2*w.weather.churn), *it)
	if s.doze {
		return
	}
	t := int(w.src.Uint64() >> 32 % uint64(w.plan.topics))
	if s.held[t] == nil {
		s.subscribe(t)
	} else if w.storm || w.roll(1<<14) {
		s.unsubscribe(t)
		if w.roll(1 << 15) {
			s.subscribe(t)
		}
	}
}

// publisher returns who sends.
func (s *subscriber) publisher(p int, epoch uint64) *tracker.Publisher {
	k := &s.known[p]
	if k.pub != nil && (!s.w.plan.nameless || k.seen == epoch) {
		return k.pub
	}
	if s.w.plan.nameless {
		k.pub, k.seen = s.tracker.Publisher("", epoch), epoch
	} else {
		k.pub = s.tracker.Publisher(s.w.pubs[p].id, 0)
	}
	s.who[k.pub] = p
	return k.pub
}

// arrive takes a message of a lossy driver.
func (s *subscriber) arrive(it *item) {
	w := s.w
	if s.doze {
		w.stats.strike(faultMissedAsleep)
		return
	}
	w.stats.Arrivals++
	switch {
	case it.again:
		w.stats.strike(faultDuplicate)
	case it.n < s.latest[it.pub]:
		w.stats.strike(faultReorder)
	default:
		s.latest[it.pub] = it.n
	}
	s.take(it)
}

// take is Subscriber.take.
func (s *subscriber) take(it *item) {
	if it.kind == kindBeat {
		s.tracker.Beat(s.now(), s.publisher(int(it.pub), it.epoch), tracker.Beat{
			ID: s.w.pubs[it.pub].id, Epoch: it.epoch, Count: it.seq,
		})
		return
	}
	h := s.held[it.topic]
	if h == nil {
		return
	}
	p := s.publisher(int(it.pub), it.epoch)
	sketch := s.tracker.Sketch(h.topic, p)
	var verdict tracker.Verdict
	var why tracker.Reason
	if it.kind == kindBeacon {
		verdict, why = s.tracker.Beacon(s.now(), h.topic, p, it.epoch, it.seq)
	} else {
		verdict, why = s.tracker.Event(s.now(), h.topic, p, it.epoch, it.seq)
	}
	s.w.stats.sketch(sketch, uint32(it.kind)<<4|uint32(verdict))
	s.w.log(s.i, h.i, int(it.pub), "subscriber %d gets %s %d of topic %d, number %d of %x: %s", s.i, kindNames[it.kind], it.idx, h.i, it.seq, it.epoch, verdicts[verdict])
	switch verdict {
	case tracker.Duplicate:
		if it.kind == kindBeacon && it.epoch == s.w.pubs[it.pub].epoch {
			s.w.check.bookmark(s.i, h.i, int(it.pub), int(it.idx))
		}
		return
	case tracker.Covered:
		if it.kind == kindEvent {
			s.w.check.covered(s.i, h.i, int(it.pub), it.idx)
		}
		return
	case tracker.Wait:
		if it.kind == kindEvent {
			s.tracker.Keep(s.now(), h.topic, p, it.seq, waiting{it.idx, it.epoch, it.seq})
		}
		return
	case tracker.Missing:
		s.tell(h, p, why)
	}
	if it.kind == kindEvent {
		s.deliver(h, p, int(it.pub), waiting{it.idx, it.epoch, it.seq})
	}
	s.ready(h, p, int(it.pub))
}

var verdicts = [...]string{"deliver", "duplicate", "covered", "missing", "wait"}

func (s *subscriber) ready(h *holding, p *tracker.Publisher, i int) {
	for {
		e, ok := s.tracker.Ready(h.topic, p)
		if !ok {
			return
		}
		s.deliver(h, p, i, e.(waiting))
	}
}

// deliver is Subscriber.deliver and Subscriber.resync.
func (s *subscriber) deliver(h *holding, p *tracker.Publisher, i int, e waiting) {
	if s.call(h, func(ok bool) { s.w.check.event(s.i, h.i, i, h.gen, e.idx, e.epoch, e.seq, ok) }) {
		return
	}
	if s.told[h.i] != s.w.cal.now { // what was told just now is not older
		s.tell(h, p, tracker.Handler)
	}
}

// tell is Subscriber.tell.
func (s *subscriber) tell(h *holding, p *tracker.Publisher, why tracker.Reason) {
	i, known := s.who[p]
	if !known {
		i = -1
	}
	s.w.log(s.i, h.i, i, "subscriber %d is told to resync topic %d of publisher %d: %s", s.i, h.i, i, reasons[why])
	if plant.On(plant.SyncSkipped) && s.w.cal.now-s.told[h.i] < 1000 {
		s.tracker.Told(h.topic, p)
		return
	}
	s.w.stats.Resyncs++
	if s.call(h, func(ok bool) { s.w.check.resync(s.i, h.i, i, h.gen, reasons[why], ok) }) {
		s.tracker.Told(h.topic, p)
		s.told[h.i] = s.w.cal.now
		return
	}
	s.tracker.Again(s.now(), tracker.Resync{Topic: h.topic, Publisher: p, Why: why})
}

var reasons = [...]string{
	tracker.NoReason: "-", tracker.Gap: "gap", tracker.Incarnation: "incarnation", tracker.Behind: "behind", tracker.Lost: "lost",
	tracker.Subscribed: "subscribed", tracker.Handler: "handler", tracker.Malformed: "malformed",
}

// call calls the handler, which may fail, or drop a topic while it runs.
func (s *subscriber) call(h *holding, handler func(ok bool)) bool {
	w := s.w
	if w.roll(w.weather.aside) {
		s.unsubscribe(h.i) // by somebody else, just before
	}
	if h.topic.Dropped() {
		return true
	}
	w.stats.Calls++
	ok := !w.roll(w.weather.fail)
	if s.sick > w.cal.now {
		ok = w.roll(1 << 12)
	}
	if !ok {
		w.stats.strike(faultHandler)
		w.log(s.i, h.i, -1, "the handler of subscriber %d fails", s.i)
	}
	handler(ok)
	return ok
}

// poll tells what is due, and finds out who is gone.
func (s *subscriber) poll(it *item) {
	if s.doze || it.conn != s.naps {
		return // waking up begins anew
	}
	s.w.cal.at(pollMS, *it)
	if !s.w.plan.lossy {
		s.missed()
	}
	for {
		now := s.now()
		if at, some := s.tracker.Next(); !some || at > now {
			return
		}
		r, ok := s.tracker.Due(now)
		if !ok {
			return
		}
		h := s.holdingOf(r.Topic)
		s.tell(h, r.Publisher, r.Why)
		if i, known := s.who[r.Publisher]; known {
			s.ready(h, r.Publisher, i)
		}
	}
}

// holdingOf returns whose topic it is, or what it was when it was held.
func (s *subscriber) holdingOf(t *tracker.Topic) *holding {
	for _, h := range s.list {
		if h.topic == t {
			return h
		}
	}
	return &holding{topic: t, i: topicOf(t.Name)}
}
