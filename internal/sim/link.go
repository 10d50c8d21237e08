package sim

import (
	"math/bits"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// state is a connection's, as the subscriber sees it.
type state uint8

const (
	idle state = iota
	dialing
	resuming
	live
)

// Times of the model, in milliseconds.
const (
	heartbeatMS  = 1000
	heartbeatOut = 3000
	lostAfterMS  = 3500
	dialTimeout  = 1000
	backoffMS    = 700
)

// link is what leads from one subscriber to one address, on an ordered driver:
// a model of what docs/adr/0006 says of marks and resume. The two ends know of
// each other by messages only.
type link struct {
	w    *world
	addr int
	sub  *subscriber

	// The subscriber's end.
	state     state
	conn      uint32 // which connection
	peer      int    // who READY said it is
	epoch     uint64
	count     uint64 // messages since READY
	heard     int64
	pings     uint64
	asked     [maxTopics]uint64 // which ping confirms the topic
	confirmed uint32
	waiting   uint32 // topics for which a Subscribe waits
	point     point
	sure      [maxTopics]uint64 // marks speak of what lies behind that offset; 0: not known

	swallow int64 // until when no byte gets through
	fifo    [2]int64
	session session
}

// point is from where a subscriber resumes.
type point struct {
	valid  bool
	peer   int
	epoch  uint64
	offset uint64
	topics uint32
}

func (l *link) reset() {
	*l = link{w: l.w, addr: l.addr, sub: l.sub, conn: l.conn + 1, peer: -1}
	if l.w.plan.lossy {
		return
	}
	l.after(l.w.upTo(20), kindDial)
	l.after(l.w.upTo(heartbeatMS), kindHeartbeat)
}

func (l *link) bit(t int) uint32 { return 1 << t }

func (l *link) item(k kind) item {
	return item{kind: k, link: uint8(l.addr), sub: uint8(l.sub.i), conn: l.conn}
}

// after plans something of the link's own.
func (l *link) after(ms int64, k kind) { l.w.cal.at(ms, l.item(k)) }

// send sends something in a direction: 0 to the publisher, 1 back.
func (l *link) send(direction int, it item) {
	w := l.w
	if it.kind == kindEvent && w.roll(w.weather.frame) {
		w.stats.strike(faultFrame)
		w.log(l.sub.i, int(it.topic), int(it.pub), "event %d is lost on a live connection", it.idx)
		return
	}
	if it.kind == kindEvent && w.lonely(l.sub.i) {
		w.stats.strike(faultSnipe)
		w.log(l.sub.i, int(it.topic), int(it.pub), "event %d is lost on a live connection", it.idx)
		return
	}
	delay := w.upTo(5)
	if w.roll(w.weather.delay >> 3) {
		delay += w.upTo(300)
		w.stats.strike(faultDelay)
	}
	if l.swallow > w.cal.now {
		// It is sent again until it gets through, or the connection is given up.
		delay += l.swallow - w.cal.now
		if it.kind == kindEvent {
			w.stats.strike(faultBlackHole)
		}
	}
	at := max(w.cal.now+delay, l.fifo[direction])
	l.fifo[direction] = at
	w.cal.at(at-w.cal.now, it)
}

func (l *link) log(format string, args ...any) { l.w.log(l.sub.i, -1, l.peer, format, args...) }

// own is what the link planned for itself.
func (l *link) own(it *item) {
	switch it.kind {
	case kindDial:
		if l.sub.doze {
			l.after(100, kindDial)
			return
		}
		if l.state != idle || it.conn != l.conn {
			return
		}
		l.conn++
		l.state, l.count, l.confirmed = dialing, 0, 0
		l.fifo = [2]int64{}
		l.send(0, l.item(kindAccept))
		l.after(dialTimeout, kindLate)
	case kindLate:
		if it.conn == l.conn && l.state != live && l.state != idle {
			if l.sub.doze {
				l.after(dialTimeout, kindLate)
				return
			}
			l.close("no answer")
		}
	case kindHeartbeat:
		l.after(heartbeatMS, kindHeartbeat)
		if l.sub.doze || l.state != live {
			return
		}
		if l.sub.clock()-l.heard > heartbeatOut {
			l.close("silent")
			return
		}
		l.ping()
	case kindFlush:
		if s := &l.session; s.open && it.conn == s.conn {
			s.ringing = false
			s.flush(l)
		}
	}
}

func (l *link) ping() uint64 {
	l.pings++
	it := l.item(kindPing)
	it.n = l.pings
	l.send(0, it)
	return l.pings
}

// close gives a connection up, and plans the next.
func (l *link) close(why string) {
	l.log("subscriber %d closes the connection to address %d: %s", l.sub.i, l.addr, why)
	l.state = idle
	l.conn++
	l.after(l.w.upTo(backoffMS), kindDial)
	waiting := l.waiting
	l.waiting = 0
	for ; waiting != 0; waiting &= waiting - 1 {
		l.sub.returned(bits.TrailingZeros32(waiting))
	}
}

// returned lets Subscribe return when no connection is waited for.
func (s *subscriber) returned(t int) {
	for a := range s.w.plan.pubs {
		if s.w.links[a][s.i].waiting&(1<<t) != 0 {
			return
		}
	}
	if h := s.held[t]; h != nil && !h.returned {
		s.confirmed(h)
	}
}

// subscribe asks for a topic, and says whether there is anybody to wait for.
func (l *link) subscribe(t int) bool {
	if l.state != live && l.state != resuming {
		return false
	}
	l.waiting |= l.bit(t)
	if l.state == live {
		l.ask(l.bit(t))
	}
	return true
}

func (l *link) ask(topics uint32) {
	it := l.item(kindSubscribe)
	it.n = uint64(topics)
	l.send(0, it)
	n := l.ping()
	for ; topics != 0; topics &= topics - 1 {
		l.asked[bits.TrailingZeros32(topics)] = n
	}
}

func (l *link) unsubscribe(t int) {
	l.waiting &^= l.bit(t)
	l.confirmed &^= l.bit(t)
	l.point.topics &^= l.bit(t)
	l.asked[t], l.sure[t] = 0, 0
	if l.state == live || l.state == resuming {
		it := l.item(kindUnsubscribe)
		it.n = uint64(l.bit(t))
		l.send(0, it)
	}
}

// wanted are the topics held.
func (s *subscriber) wanted() (topics uint32) {
	for _, h := range s.list {
		topics |= 1 << h.i
	}
	return topics
}

// down is what comes from the publisher.
func (l *link) down(it *item) {
	if l.sub.doze {
		l.sub.inbox = append(l.sub.inbox, *it)
		return
	}
	if it.conn != l.conn || l.state == idle {
		return
	}
	l.heard = l.sub.clock()
	if l.peer >= 0 && l.state != dialing {
		k := &l.sub.known[l.peer]
		k.heard, k.gone = l.heard, false
	}
	switch it.kind {
	case kindReady:
		l.ready(it)
	case kindRefuse, kindReset:
		l.close("it is closed")
	case kindFrom:
		l.from(it)
	case kindBehind:
		l.notice(nil, tracker.Behind)
	case kindMark:
		l.mark(it)
	case kindPong:
		l.pong(it)
	case kindEvent:
		l.count++
		l.w.stats.Arrivals++
		l.sub.take(it)
	}
}

func (l *link) notice(h *holding, why tracker.Reason) {
	s := l.sub
	var t *tracker.Topic
	if h != nil {
		t = h.topic
	}
	l.log("notice to subscriber %d about publisher %d: %s", s.i, l.peer, reasons[why])
	s.tracker.Notice(s.now(), t, s.publisher(l.peer, l.epoch), l.epoch, why)
}

// ready goes on where the last connection ended, if that can be.
func (l *link) ready(it *item) {
	s := l.sub
	for a := range l.w.plan.pubs {
		if o := l.w.links[a][s.i]; o != l && (o.state == live || o.state == resuming) && o.peer == int(it.pub) && o.epoch == it.epoch {
			l.close("connected already")
			return
		}
	}
	l.peer, l.epoch = int(it.pub), it.epoch
	l.sure = [maxTopics]uint64{}
	k := &s.known[l.peer]
	before := k.epoch
	k.epoch, k.heard, k.gone = it.epoch, l.heard, false
	p := &l.point
	same := p.valid && p.peer == l.peer && p.epoch == l.epoch
	if plant.On(plant.ResumeOtherServer) && p.valid {
		same = true
	}
	if plant.On(plant.EmptyEpoch) && !p.valid {
		*p = point{valid: true, topics: s.wanted()} // of no epoch
		same = true
	}
	l.log("subscriber %d is connected to publisher %d, %x", s.i, l.peer, l.epoch)
	if same {
		l.state = resuming
		it := l.item(kindResume)
		it.epoch, it.seq, it.n = p.epoch, p.offset, uint64(p.topics&s.wanted())
		l.send(0, it)
		return
	}
	p.valid = false
	l.state = live
	if before != 0 && before != l.epoch {
		l.notice(nil, tracker.Incarnation)
	}
	l.rest()
}

// from is the answer to a wish to resume.
func (l *link) from(it *item) {
	l.state = live
	l.confirmed = uint32(it.n) & l.sub.wanted() & l.point.topics
	if it.seq == 1 {
		l.notice(nil, tracker.Behind)
	} else {
		for rest := l.confirmed; rest != 0; rest &= rest - 1 {
			l.sure[bits.TrailingZeros32(rest)] = l.point.offset + 1
		}
	}
	for rest := l.confirmed & l.waiting; rest != 0; rest &= rest - 1 {
		t := bits.TrailingZeros32(rest)
		l.waiting &^= l.bit(t)
		l.sub.returned(t)
	}
	l.rest()
}

// rest asks for the topics that are not in force yet.
func (l *link) rest() {
	if topics := l.sub.wanted() &^ l.confirmed; topics != 0 {
		l.ask(topics)
	} else {
		l.ping()
	}
}

// mark moves the resume point, if nothing is missing before it.
func (l *link) mark(it *item) {
	if it.n != l.count && !plant.On(plant.CountIgnored) {
		l.close("the count differs")
		return
	}
	topics := l.confirmed
	if plant.On(plant.ResumeInFlight) {
		topics = l.sub.wanted()
	}
	l.point = point{true, l.peer, l.epoch, it.seq, topics}
	// Whoever accepted them has said that these have come.
	log := l.w.pubs[l.peer].log
	if l.w.pubs[l.peer].epoch != l.epoch {
		return
	}
	for rest := l.confirmed; rest != 0; rest &= rest - 1 {
		if t := bits.TrailingZeros32(rest); l.sure[t] == 0 {
			l.sure[t] = it.seq + 1
		}
	}
	for i := int(it.seq) - 1; i >= 0 && i > int(it.seq)-20; i-- {
		if e := &log[i]; l.confirmed&(1<<e.topic) != 0 && uint64(i)+1 >= l.sure[e.topic] {
			if h := l.sub.held[e.topic]; h != nil && int32(e.idx)+1 > l.w.check.holds[l.sub.i][e.topic].pubs[l.peer].marked {
				l.w.check.bookmark(l.sub.i, h.i, l.peer, int(e.idx))
			}
		}
	}
}

// pong confirms what was asked for before the ping.
func (l *link) pong(it *item) {
	for t := range l.w.plan.topics {
		h := l.sub.held[t]
		if h == nil || l.asked[t] == 0 || l.asked[t] > it.n || l.confirmed&l.bit(t) != 0 {
			continue
		}
		l.confirmed |= l.bit(t)
		if l.waiting&l.bit(t) != 0 {
			l.waiting &^= l.bit(t)
			l.sub.returned(t)
		}
		if h.returned && l.late(t) {
			l.notice(h, tracker.Subscribed)
		}
	}
}

// late says whether a subscription came into force after Subscribe had
// returned: not in this very moment.
func (l *link) late(t int) bool { return l.w.check.holds[l.sub.i][t].returned != l.w.cal.now }

// missed gives notice of publishers that give no sign of life.
func (s *subscriber) missed() {
	now := s.clock()
	for p := range s.w.plan.pubs {
		if k := &s.known[p]; k.epoch != 0 && !k.gone && now-k.heard > lostAfterMS && !plant.On(plant.GoneUntold) {
			k.gone = true
			s.w.log(s.i, -1, p, "publisher %d is gone for subscriber %d", p, s.i)
			s.tracker.Notice(s.now(), nil, s.publisher(p, k.epoch), k.epoch, tracker.Lost)
		}
	}
}

// fault makes something fail on the link.
func (l *link) fault(long int64) fault {
	w := l.w
	switch w.rand.IntN(6) {
	case 0, 1:
		if l.state == live {
			l.broken(w.roll(1 << 14))
			return faultCut
		}
	case 2:
		l.swallow = w.cal.now + long // counts when it swallows something
	case 3:
		if l.session.open && !l.session.stuck {
			l.session.stuck = true
			return faultStuck
		}
	case 4:
		if l.session.open {
			l.session.slow = w.cal.now + long
			return faultSlow
		}
	case 5:
		if other := w.rand.IntN(w.plan.pubs); other != l.addr {
			// Two publishers change places.
			w.route[l.addr], w.route[other] = w.route[other], w.route[l.addr]
			w.cal.at(long, item{kind: kindHeal, pub: uint8(l.addr)})
			w.cal.at(long, item{kind: kindHeal, pub: uint8(other)})
			l.broken(false)
			w.links[other][l.sub.i].broken(false)
			return faultRoute
		}
	}
	return faults
}

// broken ends the connection. What is on its way is lost.
func (l *link) broken(silently bool) {
	l.session.open = false
	if l.state != idle && !silently {
		it := l.item(kindReset)
		l.w.cal.at(l.w.upTo(5), it)
	}
}
