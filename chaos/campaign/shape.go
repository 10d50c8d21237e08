//go:build linux

package campaign

import (
	"fmt"
	"slices"
	"time"
)

// Shape says what system runs.
type Shape struct {
	Services []ServiceShape
	Workers  []WorkerShape
	Nodes    int
	// Sessions is how many subscribers each node process has, Groups how many
	// proxies they share to each service.
	Sessions, Groups int
	// Twice: nodes reach each service at two addresses. Foreign: they are on
	// libzmq.
	Twice, Foreign bool
	// Defaults: they have the driver's own settings, and services theirs.
	Defaults bool
	// Fixed are the topics that every node holds, besides TopicAll, and the first
	// of them the one for floods. Pool are those that come and go.
	Fixed, Pool []string
	// Some is how many topics of the pool a node takes at its start, Churn how
	// often it takes and drops some.
	Some  int
	Churn time.Duration
	// Narrow: nobody publishes on TopicAll, or holds it: what is told of that topic
	// covers everything.
	Narrow bool
	// Even: all topics are as busy.
	Even bool
	// Rate is how many events each worker publishes in a second, 0: only what it is
	// told to; Size the most that the value of one has.
	Rate float64
	Size int
	// Retention is the services', in bytes.
	Retention int
	// Config are lines for group [wyvern] of their configurations.
	Config []string
}

// ServiceShape says what is special about a service.
type ServiceShape struct {
	ID string
	// Restarts: it is also stopped in order, and started again. Its workers have
	// to be without a proxy: that would take events that the service refuses.
	Restarts bool
}

// WorkerShape says what kind of worker one is.
type WorkerShape struct {
	Service int
	Proxied bool // reaches its service through a proxy
	Python  bool // is on libzmq
}

// DefaultShape is small, so that a machine of two processors can break much of it
// in little time, and has one of everything.
func DefaultShape(python bool) Shape {
	return Shape{
		Services: []ServiceShape{{ID: "a", Restarts: true}, {ID: "b"}},
		Workers:  []WorkerShape{{Service: 0}, {Service: 0, Python: python}, {Service: 1, Proxied: true}, {Service: 1, Python: python}},
		Nodes:    8,
		Sessions: 1,
		Groups:   1,
		// Names that are beginnings of others.
		Fixed:     []string{"ab", "busy"},
		Pool:      []string{"a", "abc", "abcd", "Data", "DD", "topic-0", "topic-1", "topic-2", "topic-10", "quiet"},
		Some:      4,
		Churn:     400 * time.Millisecond,
		Rate:      80,
		Size:      800,
		Retention: 2 << 20,
		// Nodes that are in a black hole can't be waited for; and a service
		// retains eight events of the largest size, whatever else it is told.
		Config: []string{"drain_timeout = 3s", "handshake_timeout = 2s", "max_event_size = 64KiB"},
	}
}

// topicAll covers every other: who is told to resync it reads everything.
const topicAll = "D"

// topics are those of a worker, the most busy first. What is quiet for one is busy
// for another, but nobody publishes much on topicAll: told of a gap there, a
// subscriber would be told of everything else that it missed.
func (s *Shape) topics(worker int) []string {
	all := append(slices.Clone(s.Fixed), s.Pool...)
	if s.Narrow {
		return all
	}
	by := worker * 3 % len(all)
	return slices.Concat(all[by:], all[:by], []string{topicAll})
}

// held are the topics that a node holds for ever.
func (s *Shape) held(own string) []string {
	if s.Narrow {
		return slices.Concat(s.Fixed, []string{own})
	}
	return slices.Concat(s.Fixed, []string{topicAll, own})
}

// SoakShape is a healthy system with many subscribers, at default settings.
func SoakShape(python bool) Shape {
	s := Shape{
		Services: []ServiceShape{{ID: "a"}, {ID: "b"}},
		Workers:  []WorkerShape{{Service: 0}, {Service: 1, Python: python}},
		Nodes:    4,
		Sessions: 50,
		Groups:   5,
		Defaults: true,
		Fixed:    []string{"ab", "busy"},
		Pool:     []string{"a", "abc", "abcd", "Data", "DD"},
		Some:     5,
		Churn:    5 * time.Second,
		Rate:     15,
		Size:     800,
	}
	for i := range 20 {
		s.Pool = append(s.Pool, fmt.Sprintf("topic-%d", i))
	}
	return s
}
