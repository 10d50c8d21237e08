package validator

import (
	"slices"
	"strings"
	"time"
)

// Explain says what a resync may be due to. A resync that nothing explains is
// one without need. It is explained by
//
//   - a fault that concerns the session, or the publisher in question, and was
//     under way at most Window before;
//   - a fault of a worker of the publisher, if that has sent it as an event;
//   - the Subscribe that waits for the topic, if the reason is Subscribed;
//   - a Harmless fault, if the topic was taken while it lasted or less than
//     Flight after its end: the connection by which it was asked for may be gone;
//   - a topic that was dropped and taken again less than Flight ago: what is still
//     on its way of the first time is followed by a gap, and the subscriber can't
//     tell it from others.
type Explain struct {
	Window time.Duration
	// Harmless are kinds of faults that have to stay invisible else.
	Harmless []string
	// Subscribed is the reason that is told when a subscription is in force.
	Subscribed string
	Flight     time.Duration
}

// explain checks that the session's resyncs were needed.
func (s *session) explain() {
	e := s.c.params.Explain
	for _, list := range s.resyncs {
		for i := range list {
			t := &list[i]
			if t.explained {
				continue
			}
			t.explained = true
			if !s.explained(e, t) {
				s.violate(Needless, &Record{Topic: t.topic, At: t.at}, "publisher %s, reason %q: no fault explains it%s", t.publisher, t.reason, s.broken(t.at, t.publisher, ""))
			}
		}
	}
}

func (s *session) explained(e *Explain, t *told) bool {
	flight := int64(e.Flight)
	w := s.topics[t.topic].at(t.at)
	if t.reason == e.Subscribed && w != nil && (w.ret == 0 || t.at <= w.ret) {
		return true
	}
	if s.topics[t.topic].retaken(t.at, flight) {
		return true
	}
	for _, f := range s.c.faults {
		if f.start > t.at || f.end+int64(e.Window) < t.at {
			continue
		}
		if t.reason == "" && s.c.ofWorker(f, t.publisher) {
			return true
		}
		if !s.concerned(f, t.publisher) {
			continue
		}
		if !slices.Contains(e.Harmless, f.kind) {
			return true
		}
		if w != nil && w.call <= f.end+flight && (w.ret == 0 || f.start <= w.ret) {
			return true
		}
	}
	return false
}

// concerned says whether a fault can be felt by the session in what comes from
// a publisher; "" is any.
func (s *session) concerned(f *fault, publisher string) bool {
	if publisher != "" {
		return f.concerns(s.name, s.node, publisher, s.node+"/"+publisher)
	}
	for _, on := range f.on {
		// Whatever is not about another node.
		node, _, _ := strings.Cut(on, "/")
		if node == s.node || !s.c.isNode(node) {
			return true
		}
	}
	return false
}

// ofWorker says whether a fault hits a worker of a publisher.
func (c *Checker) ofWorker(f *fault, publisher string) bool {
	for _, on := range f.on {
		if of, known := c.belongs[on]; known && (publisher == "" || of == publisher) {
			return true
		}
	}
	return false
}

func (c *Checker) isNode(name string) bool {
	for _, s := range c.sessions {
		if s.node == name {
			return true
		}
	}
	return false
}
