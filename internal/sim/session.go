package sim

import (
	"math/bits"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// session is the publisher's end of a connection.
type session struct {
	open    bool
	conn    uint32
	pub     *publisher
	epoch   uint64
	topics  uint32
	cursor  int
	count   uint64
	since   int  // messages since the last mark
	going   bool // the log is read
	ringing bool // about to be
	stuck   bool // will never be again
	slow    int64
}

// up is what comes from a subscriber.
func (l *link) up(it *item) {
	s := &l.session
	if it.kind == kindAccept {
		l.accept(it)
		return
	}
	if !s.open || it.conn != s.conn {
		return
	}
	if s.pub.doze {
		s.pub.inbox = append(s.pub.inbox, *it)
		return
	}
	l.w.log(l.sub.i, -1, s.pub.i, "publisher %d gets %s %x from subscriber %d", s.pub.i, kindNames[it.kind], it.n, l.sub.i)
	switch it.kind {
	case kindResume:
		s.resume(l, it)
	case kindSubscribe:
		topics := uint32(it.n)
		if plant.On(plant.ResubscribeDrops) {
			for bits.OnesCount32(topics) > 3 {
				topics &= topics - 1
			}
		}
		s.topics |= topics
	case kindUnsubscribe:
		s.topics &^= uint32(it.n)
	case kindPing:
		if s.stuck && !plant.On(plant.HeartbeatNoData) {
			return
		}
		s.flush(l)
		s.mark(l)
		s.answer(l, kindPong, it.n)
	}
}

func (l *link) accept(it *item) {
	p := l.w.pubs[l.w.route[l.addr]]
	if !p.alive {
		r := l.item(kindRefuse)
		r.conn = it.conn
		l.send(1, r)
		return
	}
	if p.doze {
		return // the subscriber gives up
	}
	l.session = session{open: true, conn: it.conn, pub: p, epoch: p.epoch, cursor: len(p.log), going: true}
	r := l.item(kindReady)
	r.conn, r.pub, r.epoch = it.conn, uint8(p.i), p.epoch
	l.send(1, r)
}

func (s *session) answer(l *link, k kind, n uint64) {
	it := l.item(k)
	it.conn, it.pub, it.n = s.conn, uint8(s.pub.i), n
	l.send(1, it)
}

// base is the oldest event that is retained.
func (p *publisher) base() int { return max(0, len(p.log)-p.w.plan.retention) }

func (s *session) resume(l *link, it *item) {
	p := s.pub
	s.topics = uint32(it.n)
	how := uint64(0)
	switch offset := int(it.seq); {
	case plant.On(plant.EmptyEpoch) && it.epoch == 0:
		s.cursor = len(p.log)
	case it.epoch != p.epoch && !plant.On(plant.ResumeOtherServer) || offset > len(p.log):
		how, s.cursor = 1, len(p.log)
	case offset < p.base():
		how, s.cursor = 1, len(p.log)
		if plant.On(plant.SkipUntold) {
			how, s.cursor = 0, p.base()
		}
	default:
		s.cursor = offset
	}
	from := l.item(kindFrom)
	from.conn, from.pub, from.n, from.seq = s.conn, uint8(p.i), it.n, how
	l.send(1, from)
	s.flush(l)
}

// flush sends what the subscriber lacks.
func (s *session) flush(l *link) {
	p := s.pub
	if p.doze || !p.alive || s.stuck || !s.going {
		return
	}
	if s.slow > l.w.cal.now {
		if !s.ringing {
			s.ringing = true
			it := l.item(kindFlush)
			it.conn = s.conn
			l.w.cal.at(s.slow-l.w.cal.now, it)
		}
		return
	}
	if s.cursor < p.base() {
		if plant.On(plant.SkipUntold) {
			s.cursor = p.base()
		} else {
			s.cursor = len(p.log)
			s.answer(l, kindBehind, 0)
		}
	}
	for s.cursor < len(p.log) {
		e := &p.log[s.cursor]
		s.cursor++
		if s.topics&(1<<e.topic) == 0 {
			continue
		}
		s.count++
		it := l.item(kindEvent)
		it.conn, it.pub, it.topic, it.idx, it.epoch, it.seq = s.conn, uint8(p.i), e.topic, e.idx, p.epoch, e.seq
		l.send(1, it)
		if s.since++; s.since >= l.w.plan.markEvery {
			s.mark(l)
		}
	}
}

// mark says up to where everything was sent.
func (s *session) mark(l *link) {
	s.since = 0
	it := l.item(kindMark)
	it.conn, it.pub, it.seq, it.n = s.conn, uint8(s.pub.i), uint64(s.cursor), s.count
	if plant.On(plant.MarkOvertakes) {
		it.seq = uint64(len(s.pub.log))
	}
	l.send(1, it)
}
