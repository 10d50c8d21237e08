package tracker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// owner does what the tracker says, and notes what its handler gets: numbers of
// events, and reasons of resyncs with a "!".
type owner struct {
	t      *testing.T
	tr     *Tracker
	now    time.Duration
	topics map[string]*Topic
	fails  int // so many calls of the handler
	log    []string
}

var texts = [...]string{
	NoReason: "-", Gap: "gap", Incarnation: "incarnation", Behind: "behind", Lost: "lost", Subscribed: "subscribed",
	Handler: "handler", Malformed: "malformed",
}

func newOwner(t *testing.T, o Options, names ...string) *owner {
	ow := &owner{t: t, topics: make(map[string]*Topic)}
	for _, name := range names {
		ow.topics[name] = NewTopic(name)
	}
	o.Held = func(yield func(*Topic) bool) {
		for _, name := range slices.Sorted(maps.Keys(ow.topics)) {
			if !yield(ow.topics[name]) {
				return
			}
		}
	}
	ow.tr = New(o)
	return ow
}

func (o *owner) pub(id string, epoch uint64) *Publisher { return o.tr.Publisher(id, epoch) }

// call is the handler.
func (o *owner) call(t *Topic, what string) bool {
	if t.Dropped() {
		return true
	}
	if t.Name != "T" {
		what = t.Name + ":" + what
	}
	if o.fails > 0 {
		o.fails--
		o.log = append(o.log, what+"?")
		return false
	}
	o.log = append(o.log, what)
	return true
}

func (o *owner) tell(t *Topic, p *Publisher, why Reason) {
	if o.call(t, "!"+texts[why]) {
		o.tr.Told(t, p)
		return
	}
	o.tr.Again(o.now, Resync{t, p, why})
}

func (o *owner) deliver(t *Topic, p *Publisher, seq uint64) {
	if !o.call(t, fmt.Sprint(seq)) {
		o.tell(t, p, Handler)
	}
}

func (o *owner) ready(t *Topic, p *Publisher) {
	for {
		seq, ok := o.tr.Ready(t, p)
		if !ok {
			return
		}
		o.deliver(t, p, seq.(uint64))
	}
}

func (o *owner) event(topic string, p *Publisher, epoch uint64, seqs ...uint64) {
	t := o.topics[topic]
	for _, seq := range seqs {
		verdict, why := o.tr.Event(o.now, t, p, epoch, seq)
		switch verdict {
		case Duplicate, Covered:
			continue
		case Wait:
			o.tr.Keep(o.now, t, p, seq, seq)
			continue
		case Missing:
			o.tell(t, p, why)
		}
		o.deliver(t, p, seq)
		o.ready(t, p)
	}
}

func (o *owner) beacon(topic string, p *Publisher, epoch, tail uint64) Verdict {
	t := o.topics[topic]
	verdict, why := o.tr.Beacon(o.now, t, p, epoch, tail)
	if verdict == Missing {
		o.tell(t, p, why)
		o.ready(t, p)
	}
	return verdict
}

// pass lets time pass, and tells what becomes due.
func (o *owner) pass(d time.Duration) {
	until := o.now + d
	for {
		at, ok := o.tr.Next()
		if !ok || at > until {
			break
		}
		o.now = max(o.now, at)
		r, ok := o.tr.Due(o.now)
		if !ok {
			continue // a publisher was found silent
		}
		o.tell(r.Topic, r.Publisher, r.Why)
		o.ready(r.Topic, r.Publisher)
	}
	o.now = until
}

// want checks what the handler got since the last call.
func (o *owner) want(want string) {
	o.t.Helper()
	if got := strings.Join(o.log, " "); got != want {
		o.t.Errorf("the handler got %q, want %q", got, want)
	}
	o.log = nil
}
