package validator

import (
	"reflect"
	"testing"
	"time"
)

// begin is a session that holds topic a and has seen its first event.
func begin() []Record { return log(open(), hold(10, "a"), acc(20, "a", 1), ev(21, "a", 1)) }

func TestFilter(t *testing.T) {
	run(t, params(), []logCase{
		{"what is held", begin(), nil},
		{"never held", log(begin(), acc(30, "b", 1), ev(31, "b", 1)), []string{Filter}},
		{"before Subscribe was called", log(open(), acc(5, "a", 1), ev(6, "a", 1), hold(10, "a")), []string{Filter}},
		{"while Subscribe was under way", log(open(), rec(KindSubscribe, 10, "a"), acc(15, "a", 1), ev(16, "a", 1), rec(KindSubscribed, 20, "a")), nil},
		{"a prefix", log(begin(), acc(30, "ab", 1), ev(31, "ab", 1)), []string{Filter}},
		{"a resync of what is not held", log(begin(), resync(30, "b", "gap")), []string{Filter}},
		{"a resync of everything", log(begin(), resync(30, "", "gap")), nil},
		{"another content", log(open(), hold(10, "a"), acc(20, "a", 1), ev(21, "a", 1, sum(8))), []string{Filter}},
		{"never accepted", log(begin(), ev(30, "a", 2)), []string{Filter}},
		{"never accepted, of a killed worker", log(begin(), ev(30, "a", 2), killedWorker(31)), nil},
		{"seen before it was published", log(open(), hold(10, "a"), acc(20, "a", 1), ev(19, "a", 1)), []string{Log}},
		{"seen before Publish returned", log(open(), hold(10, "a"), acc(20, "a", 1, until(30)), ev(25, "a", 1)), nil},
	})
}

func TestUnsubscribed(t *testing.T) {
	held := begin()
	run(t, params(), []logCase{
		{"before", log(held, acc(30, "a", 2), ev(31, "a", 2), drop(40, "a")), nil},
		{"during", log(held, acc(30, "a", 2), rec(KindUnsubscribe, 30, "a"), ev(31, "a", 2, until(39)), rec(KindUnsubscribed, 40, "a")), nil},
		{"after", log(held, acc(30, "a", 2), drop(40, "a"), ev(41, "a", 2)), []string{Filter}},
		{"still running after", log(held, acc(30, "a", 2), drop(40, "a"), ev(39, "a", 2, until(41))), []string{Filter}},
		{"logged after", log(held, acc(30, "a", 2), drop(40, "a"), ev(39, "a", 2)), nil},
		{"held again", log(held, acc(30, "a", 2), drop(40, "a"), hold(50, "a"), acc(51, "a", 3), ev(52, "a", 3)), nil},
		{"in between", log(held, acc(30, "a", 2), drop(40, "a"), ev(45, "a", 2), hold(50, "a")), []string{Filter}},
		{"a resync after", log(held, drop(40, "a"), resync(41, "a", "gap")), []string{Filter}},
		{"after Close", log(held, acc(30, "a", 2), rec(KindClosed, 40, ""), ev(41, "a", 2)), []string{Filter}},
	})
}

func TestOrdered(t *testing.T) {
	some := log(open(), hold(10, "a"), acc(20, "a", 1), acc(20, "a", 2), acc(20, "a", 3))
	other := acc(20, "a", 1, worker("w2.1"))
	run(t, params(), []logCase{
		{"one after the other", log(some, ev(21, "a", 1), ev(22, "a", 2), ev(23, "a", 3)), nil},
		{"two exchanged", log(some, ev(21, "a", 1), ev(22, "a", 3), ev(23, "a", 2)), []string{Ordered, Told}},
		{"numbers exchanged", log(some, other, numbered(21, "a", 2, 1), numbered(22, "a", 1, 1, worker("w2.1")), ev(23, "a", 2), ev(24, "a", 3)), []string{Ordered, Unique}},
		{"the worker's order", log(some, numbered(21, "a", 1, 1), numbered(22, "a", 2, 3), numbered(23, "a", 3, 2)), []string{Ordered}},
		{"no number", log(some, ev(21, "a", 1), numbered(22, "a", 0, 2), numbered(23, "a", 2, 3)), []string{Ordered}},
		{"an epoch is back", log(some, ev(21, "a", 1), resync(22, "a", "new"), ev(23, "a", 2, epoch(2)), resync(24, "a", "new"), ev(25, "a", 3)), []string{Ordered}},
		{"topics are numbered apart", log(some, hold(10, "b"), acc(20, "b", 1), ev(21, "a", 1), ev(22, "b", 1), ev(23, "a", 2), ev(24, "a", 3)), nil},
		{"publishers are numbered apart", log(some, acc(20, "a", 1, worker("w2.1"), by("q")), ev(21, "a", 1), ev(22, "a", 1, worker("w2.1"), by("q")), ev(23, "a", 2), ev(24, "a", 3)), nil},
		{"after it was held again", log(some, ev(21, "a", 1), ev(21, "a", 2), ev(21, "a", 3), drop(30, "a"), hold(40, "a"), acc(41, "a", 4), numbered(42, "a", 3, 4)), []string{Unique}},
	})
}

func TestUnique(t *testing.T) {
	run(t, params(), []logCase{
		{"once", begin(), nil},
		{"twice", log(begin(), ev(30, "a", 1)), []string{Unique}},
		{"twice, under another number", log(begin(), numbered(30, "a", 2, 1)), []string{Unique}},
		{"twice, in another epoch", log(begin(), resync(29, "a", "new"), numbered(30, "a", 1, 1, epoch(2))), []string{Unique}},
		{"later", log(begin(), acc(30, "a", 2), ev(31, "a", 2), ev(32, "a", 1)), []string{Unique, Ordered}},
		{"in another session", log(begin(), open(at("n2.1")), hold(11, "a", at("n2.1")), ev(22, "a", 1, at("n2.1"))), nil},
	})
}

func TestContiguousOrTold(t *testing.T) {
	lost := log(begin(), acc(30, "a", 2), acc(40, "a", 3))
	run(t, params(), []logCase{
		{"gap", log(lost, ev(41, "a", 3)), []string{Told, Notice}},
		{"told", log(lost, resync(41, "a", "gap"), ev(42, "a", 3)), nil},
		{"told everything", log(lost, hold(10, "D"), resync(41, "D", "gap"), ev(42, "a", 3)), nil},
		{"told by nobody in particular", log(lost, resync(41, "a", "gap", by("")), ev(42, "a", 3)), nil},
		{"told of another publisher", log(lost, resync(41, "a", "gap", by("q")), ev(42, "a", 3)), []string{Told, Notice}},
		{"told of another topic", log(lost, hold(10, "b"), resync(41, "b", "gap"), ev(42, "a", 3)), []string{Told, Notice}},
		{"told afterwards", log(lost, ev(41, "a", 3), resync(42, "a", "gap")), []string{Told}},
		{"told before the event before the gap", log(open(), hold(10, "a"), acc(20, "a", 1), acc(21, "a", 2), acc(22, "a", 3),
			resync(23, "a", "gap"), ev(24, "a", 1), ev(25, "a", 3)), []string{Told}},
		{"the first number is any", log(open(), acc(5, "a", 1), hold(10, "a"), acc(20, "a", 2), ev(21, "a", 2)), nil},
		{"not held meanwhile", log(begin(), drop(25, "a"), acc(30, "a", 2), hold(35, "a"), acc(40, "a", 3), ev(41, "a", 3)), nil},
		{"new epoch", log(begin(), acc(30, "a", 2), numbered(31, "a", 1, 2, epoch(2))), []string{Told}},
		{"new epoch, told", log(begin(), acc(30, "a", 2), resync(31, "a", "new"), numbered(32, "a", 1, 2, epoch(2))), nil},
		{"a sync that was published", log(lost, resync(41, "a", "", func(r *Record) { r.Epoch, r.Seq = 1, 3 }), numbered(42, "a", 4, 3)), nil},
	})
}

func TestBoundedNotice(t *testing.T) {
	last := log(begin(), acc(30, "a", 2)) // and it is lost
	run(t, params(), []logCase{
		{"seen", log(last, ev(31, "a", 2)), nil},
		{"seen in time", log(last, ev(1030, "a", 2)), nil},
		{"seen late", log(last, ev(1031, "a", 2)), []string{Notice}},
		{"never", last, []string{Notice}},
		{"covered", log(last, resync(100, "a", "gap")), nil},
		{"covered late", log(last, resync(1031, "a", "gap")), []string{Notice}},
		{"told before it was published", log(last, resync(29, "a", "gap")), []string{Notice}},
		{"told while Publish waited", log(begin(), acc(30, "a", 2, until(50)), resync(40, "a", "gap")), nil},
		{"not held at the time", log(begin(), drop(25, "a"), acc(30, "a", 2), hold(40, "a")), nil},
		{"dropped before it was due", log(last, drop(1000, "a")), nil},
		{"dropped after it was due", log(last, drop(1031, "a")), []string{Notice}},
		{"published while Subscribe was under way", log(open(), rec(KindSubscribe, 10, "a"), acc(20, "a", 1), rec(KindSubscribed, 30, "a")), nil},
		{"published after it was told that it was subscribed", log(open(), rec(KindSubscribe, 10, "a"), resync(19, "a", "subscribed"), acc(20, "a", 1)), []string{Notice}},
		{"the session was killed before", log(last, rec(KindKilled, 1100, "")), nil},
		{"the session was killed after", log(last, rec(KindKilled, 1131, "")), []string{Notice}},
		{"one of two sessions", log(last, ev(31, "a", 2), open(at("n2.1")), hold(11, "a", at("n2.1")), ev(22, "a", 1, at("n2.1"))), []string{Notice}},

		{"the worker was killed", log(last, killedWorker(31)), nil},
		{"the worker was killed when the event had left it", log(last, killedWorker(600)), []string{Notice}},
		{"the worker was stopped and killed", log(last, broke(20, 300, "stop", "w1.1"), killedWorker(600)), nil},
		{"the service was away, and the worker killed", log(last, broke(20, 300, "stop", "p"), killedWorker(600)), nil},
		{"the worker was killed long after", log(last, killedWorker(2000)), []string{Notice}},
		{"the worker was killed, and somebody has it", log(last, killedWorker(31), ev(31, "a", 2), open(at("n2.1")), hold(11, "a", at("n2.1")), ev(22, "a", 1, at("n2.1"))), []string{Notice}},
		{"the worker was killed, and somebody has a later one", log(last, acc(31, "a", 3), killedWorker(32), numbered(33, "a", 2, 3)), []string{Notice}},
	})
}

func TestFaultsExtendTheDeadline(t *testing.T) {
	last := log(begin(), acc(30, "a", 2))
	run(t, params(), []logCase{
		{"during", log(last, broke(20, 3000, "cut", "n1"), ev(3900, "a", 2)), nil},
		{"too late after", log(last, broke(20, 3000, "cut", "n1"), ev(4001, "a", 2)), []string{Notice}},
		{"in a chain", log(last, broke(500, 1500, "cut", "n1"), broke(2400, 3000, "cut", "n1"), ev(3900, "a", 2)), nil},
		{"not in a chain", log(last, broke(500, 1500, "cut", "n1"), broke(2600, 3000, "cut", "n1"), ev(3900, "a", 2)), []string{Notice}},
		{"of another node", log(last, broke(20, 3000, "cut", "n2"), ev(2000, "a", 2)), []string{Notice}},
		{"of the publisher", log(last, broke(20, 3000, "cut", "p"), ev(2000, "a", 2)), nil},
		{"of the worker", log(last, broke(20, 3000, "cut", "w1.1"), ev(2000, "a", 2)), nil},
		{"between the two", log(last, broke(20, 3000, "cut", "n1/p"), ev(2000, "a", 2)), nil},
		{"between others", log(last, broke(20, 3000, "cut", "n1/q", "n2/p"), ev(2000, "a", 2)), []string{Notice}},
		{"of everybody", log(last, broke(20, 3000, "cut", "*"), ev(2000, "a", 2)), nil},
		{"longer than the log", log(last, broke(20, 59500, "cut", "n1")), nil},
	})
	r := check(params(), log(last, broke(20, 59500, "cut", "n1")))
	if r.Unsettled != 1 {
		t.Errorf("%d unsettled, want the one that is not due yet", r.Unsettled)
	}
}

func TestNeedless(t *testing.T) {
	p := params()
	p.Explain = &Explain{Window: time.Second, Harmless: []string{"short cut"}, Subscribed: "subscribed", Flight: 100 * time.Millisecond}
	again := log(begin(), drop(200, "a"), rec(KindSubscribe, 250, "a"))
	subscribing := log(open(), rec(KindSubscribe, 100, "a"))
	run(t, p, []logCase{
		{"none", begin(), nil},
		{"without a fault", log(begin(), resync(100, "a", "gap")), []string{Needless}},
		{"after a fault", log(begin(), broke(50, 60, "kill", "p"), resync(1060, "a", "gap")), nil},
		{"long after a fault", log(begin(), broke(50, 60, "kill", "p"), resync(1061, "a", "gap")), []string{Needless}},
		{"before a fault", log(begin(), broke(50, 60, "kill", "p"), resync(49, "a", "gap")), []string{Needless}},
		{"another publisher's fault", log(begin(), broke(50, 60, "kill", "q"), resync(100, "a", "gap")), []string{Needless}},
		{"sent because of a worker", log(begin(), broke(50, 60, "short cut", "w1.1"), resync(100, "a", "")), nil},
		{"sent because of another publisher's worker", log(begin(), acc(30, "b", 1, worker("w2.1"), by("q")), broke(50, 60, "kill", "w2.1"), resync(100, "a", "")), []string{Needless}},
		{"told because of a worker", log(begin(), broke(50, 60, "kill", "w1.1"), resync(100, "a", "gap")), []string{Needless}},
		{"of nobody in particular", log(begin(), broke(50, 60, "kill", "q"), resync(100, "a", "gap", by(""))), nil},
		{"of nobody in particular, another node's fault", log(begin(), open(at("n2.1")), broke(50, 60, "cut", "n2/p"), resync(100, "a", "gap", by(""))), []string{Needless}},
		{"a harmless fault", log(begin(), broke(50, 60, "short cut", "n1/p"), resync(100, "a", "gap")), []string{Needless}},
		{"told while Subscribe waits", log(subscribing, resync(110, "a", "subscribed"), rec(KindSubscribed, 120, "a")), nil},
		{"told after Subscribe", log(subscribing, rec(KindSubscribed, 120, "a"), resync(130, "a", "subscribed")), []string{Needless}},
		{"a Subscribe in flight", log(subscribing, broke(105, 110, "short cut", "n1/p"), rec(KindSubscribed, 120, "a"), resync(130, "a", "subscribed")), nil},
		{"dropped and taken again", log(again, resync(260, "a", "gap")), nil},
		{"dropped and taken again, shortly after", log(again, rec(KindSubscribed, 300, "a"), resync(350, "a", "gap")), nil},
		{"dropped and taken again, long after", log(again, rec(KindSubscribed, 300, "a"), resync(450, "a", "gap")), []string{Needless}},
		{"dropped, and taken again much later", log(begin(), drop(100, "a"), hold(250, "a"), resync(260, "a", "gap")), []string{Needless}},
		{"a Subscribe in flight, another reason", log(subscribing, broke(105, 110, "short cut", "n1/p"), rec(KindSubscribed, 120, "a"), resync(130, "a", "gap")), nil},
		{"a Subscribe shortly after", log(broke(50, 60, "short cut", "n1/p"), subscribing, rec(KindSubscribed, 101, "a"), resync(130, "a", "gap")), nil},
		{"a Subscribe long after", log(broke(50, 60, "short cut", "n1/p"), open(), hold(161, "a"), resync(170, "a", "gap")), []string{Needless}},
		{"a Subscribe before", log(open(), hold(20, "a"), broke(50, 60, "short cut", "n1/p"), resync(130, "a", "gap")), []string{Needless}},
	})
}

func TestContradictions(t *testing.T) {
	run(t, params(), []logCase{
		{"unknown session", log(hold(10, "a")), []string{Log}},
		{"opened twice", log(open(), open()), []string{Log}},
		{"held twice", log(open(), hold(10, "a"), hold(11, "a")), []string{Log}},
		{"dropped without being held", log(open(), drop(10, "a")), []string{Log}},
		{"counted backwards", log(acc(10, "a", 2), acc(11, "a", 2)), []string{Log}},
		{"unknown kind", log(open(), rec("hello", 1, "")), []string{Log}},
	})
}

// Of a session without numbers only the workers' own counts say what came twice or
// in another order; what it missed it has to be told of as everybody.
func TestUnnumbered(t *testing.T) {
	bare := func(r *Record) { r.Publisher, r.Epoch, r.Seq = "", 0, 0 }
	some := log(open(func(r *Record) { r.Unnumbered = true }), hold(10, "a"), acc(20, "a", 1), acc(20, "a", 2), acc(20, "a", 3), ev(21, "a", 1, bare))
	run(t, params(), []logCase{
		{"all of them", log(some, ev(22, "a", 2, bare), ev(23, "a", 3, bare)), nil},
		{"a gap that is told later", log(some, ev(22, "a", 3, bare), resync(900, "a", "", bare)), nil},
		{"a gap that is not told", log(some, ev(22, "a", 3, bare)), []string{Notice}},
		{"twice", log(some, ev(22, "a", 2, bare), ev(23, "a", 2, bare), ev(24, "a", 3, bare)), []string{Unique}},
		{"in another order", log(some, ev(22, "a", 3, bare), ev(23, "a", 2, bare)), []string{Ordered}},
	})
}

// A run that is checked piece by piece gives the same as one that is checked as a
// whole, also when each piece has a Checker of its own.
func TestPieces(t *testing.T) {
	first := log(begin(), hold(10, "b"), acc(30, "b", 1), ev(31, "b", 1))
	cases := []logCase{
		{"right", log(acc(120000, "a", 2), ev(120001, "a", 2)), nil},
		{"gap", log(acc(120000, "a", 2), acc(120001, "a", 3), ev(120002, "a", 3)), []string{Told, Notice}},
		{"twice", log(ev(120001, "a", 1)), []string{Unique}},
		{"new epoch", log(acc(120000, "a", 2), numbered(120001, "a", 1, 2, epoch(2))), []string{Told}},
		{"not held", log(drop(110000, "a"), acc(120000, "a", 2), ev(120001, "a", 2)), []string{Filter}},
		{"lost", log(acc(120000, "b", 2)), []string{Notice}},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			c := New(params())
			for _, r := range first {
				c.Add(r)
			}
			expect(t, c.Check(checkAt))
			snapshot := c.Snapshot()
			for _, r := range tt.log {
				c.Add(r)
			}
			expect(t, c.Check(1000*time.Second), tt.want...)

			other := New(params())
			for _, r := range append(snapshot, tt.log...) {
				line := r.Append(nil)
				parsed, err := Parse(line)
				if err != nil || !reflect.DeepEqual(parsed, r) {
					t.Fatalf("record %s read as %+v: %v", line, parsed, err)
				}
				other.Add(parsed)
			}
			expect(t, other.Check(1000*time.Second), tt.want...)
		})
	}
}

// What is not due at a check is judged by the next one.
func TestUnsettled(t *testing.T) {
	for _, seen := range []bool{true, false} {
		c := New(params())
		for _, r := range log(begin(), acc(59500, "a", 2)) {
			c.Add(r)
		}
		if r := c.Check(checkAt); r.Unsettled != 1 || r.Total() > 0 {
			t.Fatalf("%d unsettled and %v, want 1", r.Unsettled, r.Found)
		}
		var want []string
		if seen {
			c.Add(ev(60400, "a", 2))
		} else {
			want = []string{Notice}
		}
		expect(t, c.Check(2*checkAt), want...)
		if len(c.accepts) > 0 {
			t.Errorf("%d events are remembered after they were settled", len(c.accepts))
		}
	}
}

// What a resync has covered may come all the same, after a check.
func TestCoveredComesLate(t *testing.T) {
	c := New(params())
	for _, r := range log(begin(), acc(59500, "a", 2), resync(59600, "a", "gap")) {
		c.Add(r)
	}
	r := c.Check(checkAt)
	if expect(t, r); r.Unsettled != 0 || r.Owed != 2 || r.Covered != 1 {
		t.Errorf("%+v, want 2 owed and 1 covered", r)
	}
	c.Add(ev(60001, "a", 2))
	if r = c.Check(checkAt + time.Second); r.Owed != 0 || r.Covered != 0 {
		t.Errorf("%+v: it was judged before", r)
	}
	expect(t, r)
	c.Add(ev(60002, "a", 2))
	expect(t, c.Check(checkAt+time.Second), Unique)
	c.Check(2 * checkAt)
	if len(c.accepts) > 0 {
		t.Errorf("%d events are remembered for ever", len(c.accepts))
	}
}

func TestResult(t *testing.T) {
	r := check(params(), log(begin(), acc(30, "a", 2), resync(130, "a", "gap"), acc(40, "a", 3), killedWorker(41)))
	if r.Accepted != 3 || r.Deliveries != 1 || r.Owed != 3 || r.Covered != 2 || r.Resyncs["gap"] != 1 {
		t.Errorf("got %+v", r)
	}
	if want := 100 * time.Millisecond; r.Slowest != want {
		t.Errorf("slowest %v, want %v", r.Slowest, want)
	}
	var all Result
	for range 3 {
		all.Merge(r)
	}
	if all.Accepted != 9 || all.Resyncs["gap"] != 3 {
		t.Errorf("merged: %+v", all)
	}
}
