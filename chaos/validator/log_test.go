package validator

import (
	"strings"
	"testing"
	"time"
)

// Logs in these tests are made of the following, times in milliseconds. There is
// one publisher, p, with epoch 1, one session, n1.1 on node n1, and one worker,
// w1.1, unless a record is changed.

const ms = int64(time.Millisecond)

// change makes a record another than it would be.
type change func(*Record)

func made(r Record, changes []change) Record {
	for _, c := range changes {
		c(&r)
	}
	return r
}

func by(publisher string) change { return func(r *Record) { r.Publisher = publisher } }
func epoch(n uint64) change      { return func(r *Record) { r.Epoch = n } }
func worker(w string) change     { return func(r *Record) { r.Worker = w } }
func sum(n uint32) change        { return func(r *Record) { r.Sum = n } }
func at(session string) change {
	return func(r *Record) {
		r.Session = session
		if r.Kind == KindOpen {
			r.Node, _, _ = strings.Cut(session, ".")
		}
	}
}
func until(t int64) change { return func(r *Record) { r.End = t * ms } }

func rec(kind Kind, t int64, topic string, changes ...change) Record {
	r := Record{Kind: kind, At: t * ms, Topic: topic}
	switch kind {
	case KindOpen:
		r.Session, r.Node = "n1.1", "n1"
	case KindAccept, KindFault, KindCheck:
	default:
		r.Session = "n1.1"
	}
	return made(r, changes)
}

func open(changes ...change) Record { return rec(KindOpen, 1, "", changes...) }

// hold is a topic that is held from time t on.
func hold(t int64, topic string, changes ...change) []Record {
	return []Record{rec(KindSubscribe, t, topic, changes...), rec(KindSubscribed, t, topic, changes...)}
}

// drop is a topic that is not held any more.
func drop(t int64, topic string, changes ...change) []Record {
	return []Record{rec(KindUnsubscribe, t, topic, changes...), rec(KindUnsubscribed, t, topic, changes...)}
}

func acc(t int64, topic string, n uint64, changes ...change) Record {
	return made(Record{Kind: KindAccept, At: t * ms, End: t * ms, Publisher: "p", Topic: topic, Worker: "w1.1", N: n, Sum: 7}, changes)
}

// ev is an event whose number is that of the worker.
func ev(t int64, topic string, n uint64, changes ...change) Record {
	return numbered(t, topic, n, n, changes...)
}

func numbered(t int64, topic string, seq, n uint64, changes ...change) Record {
	return made(Record{Kind: KindEvent, At: t * ms, End: t * ms, Session: "n1.1", Publisher: "p", Epoch: 1, Seq: seq, Topic: topic, Worker: "w1.1", N: n, Sum: 7}, changes)
}

func resync(t int64, topic, reason string, changes ...change) Record {
	return made(Record{Kind: KindResync, At: t * ms, Session: "n1.1", Publisher: "p", Topic: topic, Reason: reason}, changes)
}

func broke(from, to int64, kind string, on ...string) Record {
	return Record{Kind: KindFault, At: from * ms, End: to * ms, Fault: kind, On: on, Confirmed: true}
}

func killedWorker(t int64) Record {
	return Record{Kind: KindKilled, At: t * ms, Worker: "w1.1"}
}

// log puts records and lists of them together.
func log(parts ...any) []Record {
	var all []Record
	for _, p := range parts {
		switch p := p.(type) {
		case Record:
			all = append(all, p)
		case []Record:
			all = append(all, p...)
		}
	}
	return all
}

// params are those of the tests: an event may take a second.
func params() Params {
	return Params{Within: time.Second, Queue: 500 * time.Millisecond, Lag: 100 * time.Millisecond, All: "D"}
}

const checkAt = time.Minute

func check(p Params, records []Record) *Result {
	c := New(p)
	for _, r := range records {
		c.Add(r)
	}
	return c.Check(checkAt)
}

// expect compares what was found with the properties that should be.
func expect(t *testing.T, r *Result, want ...string) {
	t.Helper()
	for _, v := range r.Violations {
		t.Log(v)
	}
	for _, property := range want {
		if r.Found[property] == 0 {
			t.Errorf("no violation of %q found", property)
		}
	}
	if len(want) == 0 && r.Total() > 0 || len(want) > 0 && len(r.Found) != len(want) {
		t.Errorf("found %v, want %q", r.Found, want)
	}
}

type logCase struct {
	name string
	log  []Record
	want []string // properties
}

func run(t *testing.T, p Params, cases []logCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { expect(t, check(p, c.log), c.want...) })
	}
}
