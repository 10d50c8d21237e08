package validator

import (
	"slices"
	"strings"
	"time"
)

// Explain says what a resync may be due to. A resync that nothing explains is
// one without need.
//
// A resync is explained by a fault that concerns the session, or the publisher
// in question, and was under way at most Window before. One for the reason
// Subscribed is also explained by the Subscribe that waits for the topic.
type Explain struct {
	Window time.Duration
	// Harmless are kinds of faults that have to stay invisible, but for a
	// Subscribe that was under way.
	Harmless []string
	// Subscribed is the reason that is told when a subscription is in force.
	Subscribed string
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
	w := s.topics[t.topic].at(t.at)
	subscribing := t.reason == e.Subscribed && w != nil
	if subscribing && (w.ret == 0 || t.at <= w.ret) {
		return true
	}
	for _, f := range s.c.faults {
		if f.start > t.at || f.end+int64(e.Window) < t.at || !s.concerned(f, t.publisher) {
			continue
		}
		if !slices.Contains(e.Harmless, f.kind) {
			return true
		}
		// It struck while the Subscribe was under way.
		if subscribing && w.call <= f.end+int64(e.Window) && f.start <= w.ret {
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

func (c *Checker) isNode(name string) bool {
	for _, s := range c.sessions {
		if s.node == name {
			return true
		}
	}
	return false
}
