package validator

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// prove compares what was seen with what was accepted.
func (s *session) prove(now int64) {
	kept := s.unproven[:0]
	for _, u := range s.unproven {
		r := &Record{Topic: u.topic, At: u.at}
		a := s.c.accepts[u.key]
		switch _, killed := s.c.killed[u.worker]; {
		case a != nil && a.sum != u.sum:
			s.violate(Filter, r, "event %d of worker %s is not what was accepted: checksum %08x, want %08x", u.n, u.worker, u.sum, a.sum)
		case a != nil && u.at < a.begin:
			s.violate(Log, r, "event %d of worker %s was seen %.6fs before it was published", u.n, u.worker, seconds(a.begin-u.at))
		case a != nil || killed: // who is killed may have published what it could not log
		case u.at > now-int64(s.c.params.Lag):
			kept = append(kept, u)
		default:
			s.violate(Filter, r, "event %d of worker %s was never accepted", u.n, u.worker)
		}
	}
	s.unproven = kept
}

// covered returns when a resync that covers the event was told, or 0.
func (s *session) covered(a *accepted) int64 {
	first := int64(0)
	for i, topic := range []string{a.topic, s.c.params.All} {
		if i == 1 && topic == a.topic {
			break
		}
		list := s.resyncs[topic]
		from, _ := slices.BinarySearchFunc(list, a.begin, func(t told, at int64) int { return cmp.Compare(t.at, at) })
		for _, t := range list[from:] {
			if t.covers(a.publisher) {
				if first == 0 || t.at < first {
					first = t.at
				}
				break
			}
		}
	}
	return first
}

// owe checks I5: that sessions got what they were owed.
func (c *Checker) owe(now int64, sessions []*session) {
	byTopic := make(map[string][]*accepted)
	for _, a := range c.accepts {
		if a.judged {
			continue
		}
		a.settled = true
		byTopic[a.topic] = append(byTopic[a.topic], a)
	}
	for _, list := range byTopic {
		slices.SortFunc(list, func(a, b *accepted) int {
			return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.worker, b.worker), cmp.Compare(a.n, b.n))
		})
	}
	for _, s := range sessions {
		concerning := make(map[[2]string]faults) // publisher and worker
		for topic, ws := range s.topics {
			list := byTopic[topic]
			for i, w := range ws {
				from, _ := slices.BinarySearchFunc(list, w.call, func(a *accepted, t int64) int { return cmp.Compare(a.begin, t) })
				for _, a := range list[from:] {
					if i+1 < len(ws) && a.begin >= ws[i+1].call {
						break
					}
					hit, known := concerning[[2]string{a.publisher, a.worker}]
					if !known {
						hit = c.faults.concerning(s.name, s.node, a.publisher, a.worker, s.node+"/"+a.publisher)
						concerning[[2]string{a.publisher, a.worker}] = hit
					}
					s.owed(a, w, hit, now)
				}
			}
		}
	}
	for _, a := range c.accepts {
		if !a.settled {
			c.result.Unsettled++
		}
	}
}

// owed checks one event.
func (s *session) owed(a *accepted, w *window, hit faults, now int64) {
	c := s.c
	from := w.from(a.publisher)
	if from == 0 || a.begin <= from {
		return
	}
	deadline, disturbed := hit.deadline(a.end, int64(c.params.Within))
	gone := s.ended
	if s.killed {
		gone -= int64(c.params.Lag)
	}
	when, got := s.when[a.key]
	told := s.covered(a)
	first := when
	if !got || told != 0 && told < when {
		first = told
	}
	switch {
	case first != 0 && first <= deadline:
		c.result.Owed++
		if !got {
			c.result.Covered++
		}
		if !disturbed {
			c.result.Slowest = max(c.result.Slowest, time.Duration(first-a.end))
		}
	case w.uncall != 0 && w.uncall <= deadline, s.ended != 0 && gone <= deadline:
		// It had no time to get it.
	case first == 0 && c.diedWith(a, deadline):
		c.result.Excused++
	case first == 0 && deadline > now:
		a.settled = false
	default:
		c.result.Owed++
		what := "was neither seen nor covered by a resync"
		if first != 0 {
			what = fmt.Sprintf("was seen or covered only %.3fs after it was accepted", seconds(first-a.end))
		}
		c.result.add(Violation{Notice, s.name, a.topic, a.end, fmt.Sprintf("event %d of worker %s, published on %s, %s; it was due %.3fs after it was accepted%s",
			a.n, a.worker, a.publisher, what, seconds(deadline-a.end), s.surroundings(a))})
	}
}

// diedWith says whether an event was lost with its worker: killed before the
// event was due, and before it must have left the worker, and nobody has it or a
// later one.
func (c *Checker) diedWith(a *accepted, deadline int64) bool {
	at, killed := c.killed[a.worker]
	if !killed || at > deadline || a.n <= c.reached[series{a.worker, a.topic}] {
		return false
	}
	left, _ := c.faults.concerning(a.worker, a.publisher).deadline(a.end, int64(c.params.Queue))
	return at <= left
}

// surroundings says what the session saw of the event's worker and publisher
// around it, for people.
func (s *session) surroundings(a *accepted) string {
	text := ""
	for n := a.n - 1; n > 0 && n+1000 > a.n; n-- {
		if at, ok := s.when[key{a.worker, a.topic, n}]; ok {
			text += fmt.Sprintf("; event %d was seen at %.3fs", n, seconds(at))
			break
		}
	}
	for n := a.n + 1; n < a.n+1000; n++ {
		if at, ok := s.when[key{a.worker, a.topic, n}]; ok {
			text += fmt.Sprintf("; event %d was seen at %.3fs", n, seconds(at))
			break
		}
	}
	for _, list := range [][]told{s.resyncs[a.topic], s.resyncs[s.c.params.All]} {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].at < a.begin {
				text += fmt.Sprintf("; resync of %q by %s (%s) at %.3fs", list[i].topic, list[i].publisher, list[i].reason, seconds(list[i].at))
				break
			}
		}
	}
	return text + s.broken(a.begin, a.publisher, a.worker)
}

// broken lists the latest faults before or during t that concern the session,
// for people.
func (s *session) broken(t int64, publisher, worker string) string {
	text := ""
	hit := s.c.faults.concerning(s.name, s.node, publisher, worker, s.node+"/"+publisher)
	for i, n := len(hit)-1, 0; i >= 0 && n < 3; i-- {
		if f := hit[i]; f.start <= t+int64(time.Second) && f.end+int64(s.c.params.Within) >= t {
			text += fmt.Sprintf("; %s %v from %.3fs to %.3fs", f.kind, f.on, seconds(f.start), seconds(f.end))
			n++
		}
	}
	return text
}
