package validator

import "fmt"

// stream names the events of one publisher, whatever its incarnation, on one
// topic.
type stream struct{ publisher, topic string }

// position is how far a stream has come in a session.
type position struct {
	epoch, seq uint64
	window     *window
	at         int // of the session's calls
}

// told is one RESYNC.
type told struct {
	at        int64
	publisher string
	reason    string
	topic     string
	explained bool // or found needless
}

// covers says whether it is about what a publisher sent.
func (t *told) covers(publisher string) bool { return t.publisher == "" || t.publisher == publisher }

// seen is an event that no accept record has proven yet.
type seen struct {
	key
	at  int64
	sum uint32
}

// session is what is known of one.
type session struct {
	c          *Checker
	name, node string
	ended      int64
	killed     bool
	unnumbered bool // I2 to I4 are judged by the workers' counts alone

	topics map[string]windows
	calls  []Record // of the handler, that were not checked yet
	count  int      // of the calls that were

	positions map[stream]*position
	epochs    map[string]map[uint64]bool // of a publisher: true while it is the present one
	counts    map[series]uint64          // the last that was seen
	lastTold  map[stream]int             // the call; topic All stands for every topic
	unproven  []seen

	when    map[key]int64     // what was seen; what is settled is forgotten
	resyncs map[string][]told // by topic, in order
}

func newSession(c *Checker, name, node string) *session {
	return &session{
		c: c, name: name, node: node,
		topics:    make(map[string]windows),
		positions: make(map[stream]*position),
		epochs:    make(map[string]map[uint64]bool),
		counts:    make(map[series]uint64),
		lastTold:  make(map[stream]int),
		when:      make(map[key]int64),
		resyncs:   make(map[string][]told),
	}
}

// add takes a record of this session.
func (s *session) add(r *Record) {
	w := s.topics[r.Topic].last()
	switch r.Kind {
	case KindEvent, KindResync:
		s.calls = append(s.calls, *r)
	case KindClosed:
		s.ended = r.At
	case KindSubscribe:
		if w != nil && w.uncall == 0 {
			s.c.broken(r, "the topic is held already")
		}
		s.topics[r.Topic] = append(s.topics[r.Topic], &window{call: r.At})
	case KindSubscribed:
		if w == nil || w.ret != 0 {
			s.c.broken(r, "nobody subscribed")
			return
		}
		w.ret = r.At
	case KindUnsubscribe:
		if w == nil || w.uncall != 0 {
			s.c.broken(r, "the topic is not held")
			return
		}
		w.uncall = r.At
	case KindUnsubscribed:
		if w == nil || w.uncall == 0 || w.unret != 0 {
			s.c.broken(r, "nobody unsubscribed")
			return
		}
		w.unret = r.At
	case KindLast:
		s.restore(r)
	default:
		s.c.broken(r, "not a kind of record")
	}
}

func (s *session) violate(property string, r *Record, format string, args ...any) {
	s.c.result.add(Violation{property, s.name, r.Topic, r.At, fmt.Sprintf(format, args...)})
}

// order checks I1 to I4 on the handler's calls.
func (s *session) order() {
	for i := range s.calls {
		r := &s.calls[i]
		s.count++
		w := s.held(r)
		if r.Kind == KindResync {
			s.told(r, w)
			if r.Seq == 0 {
				continue
			}
		} else {
			s.saw(r)
		}
		if s.unnumbered {
			continue
		}
		s.number(r, w)
	}
	s.calls = nil
}

// held checks that the call's topic is held. A call may have begun just before
// Unsubscribe, but that waits for it.
func (s *session) held(r *Record) *window {
	end := max(r.At, r.End)
	if s.ended != 0 && !s.killed && end > s.ended {
		s.violate(Filter, r, "the handler was called, or still running, %.6fs after Close had returned", seconds(end-s.ended))
	}
	if r.Topic == "" && r.Kind == KindResync {
		return nil // about everything
	}
	w := s.topics[r.Topic].at(r.At)
	switch {
	case w == nil:
		s.violate(Filter, r, "%s of a topic that was never held", r.Kind)
	case w.unret != 0 && end > w.unret:
		s.violate(Filter, r, "the handler was called, or still running, %.6fs after Unsubscribe had returned: %s, number %d", seconds(end-w.unret), r.Kind, r.Seq)
	}
	return w
}

// told notes a RESYNC.
func (s *session) told(r *Record, w *window) {
	if s.c.result.Resyncs == nil {
		s.c.result.Resyncs = make(map[string]int)
	}
	s.c.result.Resyncs[r.Reason]++
	topic := r.Topic
	if topic == "" {
		topic = s.c.params.All
	}
	s.lastTold[stream{r.Publisher, topic}] = s.count
	if w != nil {
		w.tell(r.Publisher, r.At)
	}
	s.resyncs[topic] = append(s.resyncs[topic], told{at: r.At, publisher: r.Publisher, reason: r.Reason, topic: topic})
}

// toldSince says whether a stream's topic was resynced after a call.
func (s *session) toldSince(of stream, call int) bool {
	for _, publisher := range []string{"", of.publisher} {
		for _, topic := range []string{of.topic, s.c.params.All} {
			if s.lastTold[stream{publisher, topic}] > call {
				return true
			}
		}
	}
	return false
}

// saw notes an event and checks it against the worker's own count.
func (s *session) saw(r *Record) {
	s.c.result.Deliveries++
	k := key{r.Worker, r.Topic, r.N}
	of := series{r.Worker, r.Topic}
	switch last := s.counts[of]; {
	case r.N == last, r.N < last && s.when[k] != 0:
		s.violate(Unique, r, "event %d of worker %s came twice, the second time as number %d of epoch %x", r.N, r.Worker, r.Seq, r.Epoch)
		return
	case r.N < last:
		s.violate(Ordered, r, "event %d of worker %s came after %d", r.N, r.Worker, last)
	default:
		s.counts[of] = r.N
	}
	s.c.reached[of] = max(s.c.reached[of], r.N)
	s.when[k] = r.At
	s.unproven = append(s.unproven, seen{k, r.At, r.Sum})
}

// number checks an event's number.
func (s *session) number(r *Record, w *window) {
	if r.Seq == 0 || r.Epoch == 0 {
		s.violate(Ordered, r, "event %d of worker %s has no number", r.N, r.Worker)
		return
	}
	of := stream{r.Publisher, r.Topic}
	epochs := s.epochs[r.Publisher]
	if epochs == nil {
		epochs = make(map[uint64]bool)
		s.epochs[r.Publisher] = epochs
	}
	if present, known := epochs[r.Epoch]; known && !present {
		s.violate(Ordered, r, "epoch %x of publisher %s is back after a later one, with number %d", r.Epoch, r.Publisher, r.Seq)
		return
	}
	for epoch := range epochs {
		epochs[epoch] = false
	}
	epochs[r.Epoch] = true

	p := s.positions[of]
	if p == nil {
		s.positions[of] = &position{r.Epoch, r.Seq, w, s.count}
		return
	}
	// A gap ends with the window: what is published while nobody holds the
	// topic is not missed.
	same := p.window == w
	switch {
	case p.epoch != r.Epoch:
		if same && !s.toldSince(of, p.at) {
			s.violate(Told, r, "publisher %s has a new epoch, %x after %x, and nobody was told%s", r.Publisher, r.Epoch, p.epoch, s.broken(r.At, r.Publisher, r.Worker))
		}
	case r.Seq == p.seq:
		s.violate(Unique, r, "number %d of publisher %s, epoch %x, came twice%s", r.Seq, r.Publisher, r.Epoch, s.broken(r.At, r.Publisher, r.Worker))
	case r.Seq < p.seq:
		s.violate(Ordered, r, "number %d of publisher %s, epoch %x, came after %d%s", r.Seq, r.Publisher, r.Epoch, p.seq, s.broken(r.At, r.Publisher, r.Worker))
		return
	case r.Seq > p.seq+1 && same && !s.toldSince(of, p.at):
		s.violate(Told, r, "number %d of publisher %s, epoch %x, came after %d, and nobody was told%s", r.Seq, r.Publisher, r.Epoch, p.seq, s.broken(r.At, r.Publisher, r.Worker))
	}
	*p = position{r.Epoch, r.Seq, w, s.count}
}

// forget drops what is older than all that is unsettled.
func (s *session) forget(oldest int64) {
	for k := range s.when {
		if s.c.accepts[k] == nil && !s.isUnproven(k) {
			delete(s.when, k)
		}
	}
	for topic, ws := range s.topics {
		s.topics[topic] = ws.since(oldest)
	}
	for topic, list := range s.resyncs {
		for len(list) > 0 && list[0].at < oldest {
			list = list[1:]
		}
		s.resyncs[topic] = list
	}
}

func (s *session) isUnproven(k key) bool {
	for _, u := range s.unproven {
		if u.key == k {
			return true
		}
	}
	return false
}
