package tracker

import (
	"math"
	"testing"
	"time"
)

var (
	ordered   = Options{Spread: time.Second}
	lossy     = Options{Spread: time.Second, Lossy: true}
	reorders  = Options{Spread: time.Second, Window: 3, Patience: time.Second}
	datagrams = Options{Spread: time.Second, Lossy: true, Window: 3, Patience: time.Second, LostAfter: 3500 * time.Millisecond}
)

func TestNumbers(t *testing.T) {
	const half, end = 1<<32 - 1, math.MaxUint64
	for _, c := range []struct {
		name string
		o    Options
		seqs []uint64
		want string // after a minute
	}{
		{"in order", ordered, []uint64{1, 2, 3}, "1 2 3"},
		{"first of many", ordered, []uint64{7, 8}, "7 8"},
		{"first of many, lossy", lossy, []uint64{7, 8}, "!subscribed 7 8"},
		{"first of all, lossy", lossy, []uint64{1, 2}, "1 2 !subscribed"},
		{"first of many, unordered", reorders, []uint64{7, 6, 8}, "!subscribed 7 8"},
		{"gap of one", ordered, []uint64{1, 3}, "1 !gap 3"},
		{"gap of many", ordered, []uint64{1, 1000}, "1 !gap 1000"},
		{"twice", ordered, []uint64{1, 1, 2, 2, 1}, "1 2"},
		{"back before the first", ordered, []uint64{5, 3, 4, 5, 6}, "5 !gap"},
		{"back to the first", ordered, []uint64{5, 6, 5, 7}, "5 6 7"},
		{"32 bits", ordered, []uint64{half - 1, half, half + 1, half + 2, half}, "4294967294 4294967295 4294967296 4294967297"},
		{"gap over 32 bits", ordered, []uint64{half, half + 2}, "4294967295 !gap 4294967297"},
		{"end of 64 bits", ordered, []uint64{end - 1, end, end, 1, end - 1}, "18446744073709551614 18446744073709551615 !gap"},
		{"gap before the end", ordered, []uint64{end - 2, end, end}, "18446744073709551613 !gap 18446744073709551615"},
		{"window at the end", reorders, []uint64{1, end, 2, end}, "1 2 !gap"},
		{"back before a resync", ordered, []uint64{5, 7, 3, 4, 8}, "5 !gap 7 8"},
		{"unnumbered", ordered, []uint64{1, 0, 0, 2, 0, 4}, "1 0 0 2 0 !gap 4"},
		{"unnumbered after the end", ordered, []uint64{end, 0, end}, "18446744073709551615 0"},
		{"overtaken", reorders, []uint64{1, 3, 2, 4}, "1 2 3 4"},
		{"overtaken by several", reorders, []uint64{1, 4, 3, 5, 2, 6}, "1 2 3 4 5 6"},
		{"two holes", reorders, []uint64{1, 3, 5, 2, 4}, "1 2 3 4 5"},
		{"lost", reorders, []uint64{1, 3, 4}, "1 !gap"},
		{"lost, window full", reorders, []uint64{1, 3, 4, 5, 6, 7, 2}, "1 !gap 6 7"},
		{"window full from above", reorders, []uint64{1, 9, 8, 7, 3, 4}, "1 !gap 3 4 !gap"},
		{"waits, twice, window full", reorders, []uint64{1, 3, 4, 5, 4, 2}, "1 2 3 4 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOwner(t, c.o, "T")
			o.event("T", o.pub("p", 0), 77, c.seqs...)
			o.pass(time.Minute)
			o.want(c.want)
		})
	}
}

// A number of no epoch is no number.
func TestEmptyEpoch(t *testing.T) {
	o := newOwner(t, ordered, "T")
	p := o.pub("p", 0)
	o.event("T", p, 0, 1, 2, 1)
	o.event("T", p, 5, 1, 3)
	o.want("1 2 1 1 !gap 3")
	if v := o.beacon("T", p, 0, 99); v != Duplicate {
		t.Errorf("a beacon of no epoch: %d", v)
	}
}

func TestSeriesAreApart(t *testing.T) {
	o := newOwner(t, lossy, "T", "U")
	p, q := o.pub("p", 0), o.pub("q", 0)
	o.event("T", p, 1, 1, 2)
	o.event("U", p, 1, 1)
	o.event("T", q, 1, 1)
	o.event("U", p, 1, 2)
	o.event("T", q, 1, 3)
	o.want("1 2 U:1 1 U:2 !gap 3")
}

func TestIncarnation(t *testing.T) {
	o := newOwner(t, ordered, "T", "U", "V")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1, 2)
	o.event("U", p, 1, 1)
	o.want("1 2 U:1")
	o.event("T", p, 2, 1, 2) // covered
	o.want("")
	o.pass(time.Second)
	if len(o.log) != 3 {
		t.Errorf("told %q, want one resync for each topic held", o.log)
	}
	o.log = nil
	o.event("T", p, 2, 3, 5)
	o.event("U", p, 2, 1)
	o.pass(time.Minute)
	o.want("3 !gap 5 U:1")
}

// What comes late from an incarnation that was replaced is told, and never
// delivered. One that goes on lives, and counts again.
func TestStaleIncarnation(t *testing.T) {
	o := newOwner(t, Options{}, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.event("T", p, 2, 1)
	o.pass(0)
	o.event("T", p, 2, 2)
	o.want("1 !incarnation U:!incarnation 2")

	o.event("T", p, 1, 2)
	o.event("T", p, 2, 3)
	if v := o.beacon("T", p, 1, 9); v != Duplicate {
		t.Errorf("a beacon of the past: %d", v)
	}
	o.want("")
	o.pass(disputed)
	o.want("!incarnation")
	o.event("T", p, 2, 4)
	o.want("4")

	o.pass(settled)
	o.event("T", p, 1, 3)
	o.pass(0)
	o.event("T", p, 1, 4)
	o.want("!incarnation U:!incarnation 4")
}

// The order in which two incarnations are heard first may be the wrong one.
func TestIncarnationsSwapped(t *testing.T) {
	o := newOwner(t, Options{Lossy: true}, "T")
	p := o.pub("p", 0)
	o.event("T", p, 2, 1)
	o.event("T", p, 1, 50) // late, and taken for the new one
	for seq := uint64(2); seq < 30; seq++ {
		o.pass(time.Second)
		o.event("T", p, 2, seq)
	}
	o.log = nil
	o.event("T", p, 2, 30, 31)
	o.want("30 31")
}

func TestManyIncarnations(t *testing.T) {
	o := newOwner(t, Options{}, "T")
	p := o.pub("p", 0)
	for epoch := range uint64(3 * maxPast) {
		o.event("T", p, epoch+1, 1)
	}
	if len(p.past) != maxPast {
		t.Errorf("%d incarnations remembered, want %d", len(p.past), maxPast)
	}
}

// Where the driver doesn't say who sends, an epoch is all there is. What is
// made up must not make a subscriber grow, or believe more than it should.
func TestNameless(t *testing.T) {
	o := newOwner(t, Options{}, "T")
	o.event("T", o.pub("", 1), 1, 5)
	o.event("T", o.pub("", 2), 2, 5)
	o.event("T", o.pub("", 1), 1, 6)
	o.want("5 5 6")
	for epoch := range uint64(5 * maxPublishers) {
		o.event("T", o.pub("", epoch+10), epoch+10, 1)
	}
	if n := len(o.topics["T"].series); n > maxPublishers+1 || len(o.tr.nameless) > maxPublishers {
		t.Errorf("%d series and %d publishers remembered", n, len(o.tr.nameless))
	}
	o.log = nil
	o.event("T", o.pub("", 1), 1, 9)
	o.want("!subscribed 9")
}

func TestBeacon(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      Options
		before []uint64
		tail   uint64
		after  []uint64
		want   string
	}{
		{"nothing missing", lossy, []uint64{1, 2}, 2, []uint64{3}, "1 2 3 !subscribed"},
		{"old", lossy, []uint64{1, 2, 3}, 2, []uint64{4}, "1 2 3 4 !subscribed"},
		{"none", lossy, nil, 0, []uint64{1}, "1 !subscribed"},
		{"last missing", lossy, []uint64{1, 2}, 3, nil, "1 2 !gap"},
		{"last missing, then more", lossy, []uint64{1, 2}, 3, []uint64{4}, "1 2 !gap 4"},
		{"missing, then late", lossy, []uint64{1}, 3, []uint64{2, 3, 4}, "1 !gap 4"},
		{"nothing seen", lossy, nil, 5, []uint64{6}, "!subscribed 6"},
		{"nothing seen, nothing lost", ordered, nil, 5, []uint64{6, 8}, "6 !gap 8"},
		{"end", lossy, []uint64{math.MaxUint64 - 1}, math.MaxUint64, nil, "!subscribed 18446744073709551614 !gap"},
		{"on its way", reorders, []uint64{1}, 3, []uint64{2, 3}, "1 2 3"},
		{"partly on its way", reorders, []uint64{1}, 3, []uint64{2}, "1 2 !gap"},
		{"on its way, overtaken", reorders, []uint64{1}, 3, []uint64{3, 2, 4}, "1 2 3 4"},
		{"held up to it", reorders, []uint64{1, 3}, 4, []uint64{2}, "1 2 3 !gap"},
		{"first on its way", datagrams, nil, 2, []uint64{1, 2}, "1 2 !subscribed"},
		{"first lost", datagrams, nil, 2, nil, "!subscribed !subscribed"},
		{"first lost in part", datagrams, nil, 2, []uint64{2}, "!subscribed 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.LostAfter = 0
			o := newOwner(t, c.o, "T")
			p := o.pub("p", 0)
			o.event("T", p, 77, c.before...)
			o.beacon("T", p, 77, c.tail)
			o.event("T", p, 77, c.after...)
			o.pass(time.Minute)
			o.want(c.want)
		})
	}
}

// However many beacons come, one number is kept, and the first says how long to
// wait.
func TestBeaconsWait(t *testing.T) {
	o := newOwner(t, reorders, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	for i := range uint64(100) {
		o.beacon("T", p, 1, i+2)
	}
	o.pass(900 * time.Millisecond)
	o.beacon("T", p, 1, 200)
	o.want("1")
	o.pass(100 * time.Millisecond)
	o.want("!gap")
	if at, some := o.tr.Next(); some {
		t.Errorf("something is due at %v", at)
	}
	o.event("T", p, 1, 201)
	o.want("201")
}

func TestBeaconOfNewIncarnation(t *testing.T) {
	o := newOwner(t, lossy, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.beacon("T", p, 2, 4)
	o.pass(time.Second)
	if len(o.log) != 3 {
		t.Errorf("the handler got %q, want an event and two resyncs", o.log)
	}
	o.log = nil
	o.event("T", p, 2, 4, 5)
	o.want("5")
}

// Each hole is waited for as long as it is known.
func TestPatience(t *testing.T) {
	o := newOwner(t, reorders, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1, 3)
	o.pass(900 * time.Millisecond)
	o.event("T", p, 1, 5, 2) // 4 was overtaken just now
	o.want("1 2 3")
	o.pass(900 * time.Millisecond)
	o.event("T", p, 1, 4)
	o.want("4 5")
	if at, some := o.tr.Next(); some {
		t.Errorf("something is due at %v", at)
	}
	o.event("T", p, 1, 7, 9)
	o.pass(time.Second)
	o.event("T", p, 1, 6, 8, 10)
	o.want("!gap 10")
}

func TestNotices(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      Options
		why    Reason
		before []uint64
		covers []uint64 // before it is told
		after  []uint64
		want   string
	}{
		{"behind", ordered, Behind, []uint64{1}, nil, []uint64{9, 10, 12}, "1 !behind 9 10 !gap 12"},
		{"behind, covered", ordered, Behind, []uint64{1}, []uint64{9}, []uint64{10, 12}, "1 !behind 10 !gap 12"},
		{"behind, none missing", ordered, Behind, []uint64{1}, nil, []uint64{2, 4}, "1 !behind 2 !gap 4"},
		{"behind, nothing seen", ordered, Behind, nil, nil, []uint64{9, 11}, "!behind 9 !gap 11"},
		{"behind, again the same", ordered, Behind, []uint64{1, 2}, nil, []uint64{2, 5}, "1 2 !behind 5"},
		{"behind, lossy", lossy, Behind, []uint64{1}, nil, []uint64{9}, "1 !behind !gap 9"},
		{"gone", ordered, Lost, []uint64{1}, nil, []uint64{2, 3}, "1 !lost 2 3"},
		{"gone, and missed", ordered, Lost, []uint64{1}, nil, []uint64{3}, "1 !lost !gap 3"},
		{"gone, covered", ordered, Lost, []uint64{1}, []uint64{2, 3}, []uint64{4}, "1 !lost 4"},
		{"gap", ordered, Gap, []uint64{1}, nil, []uint64{3}, "1 !gap 3"},
		{"confirmed", ordered, Subscribed, nil, []uint64{7}, []uint64{8}, "7 !subscribed 8"},
		{"confirmed anew", ordered, Subscribed, []uint64{1}, []uint64{7}, []uint64{8}, "1 !gap 7 8"},
		{"behind, held", reorders, Behind, []uint64{1, 4, 5}, nil, []uint64{2, 3, 5, 6}, "1 !behind 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOwner(t, c.o, "T")
			p := o.pub("p", 0)
			o.event("T", p, 5, c.before...)
			o.tr.Notice(o.now, nil, p, 5, c.why)
			o.event("T", p, 5, c.covers...)
			o.pass(time.Second)
			o.event("T", p, 5, c.after...)
			o.pass(time.Minute)
			o.want(c.want)
		})
	}
}

func TestNoticeOfOneTopic(t *testing.T) {
	o := newOwner(t, ordered, "T", "U")
	p := o.pub("p", 0)
	o.tr.Notice(o.now, o.topics["U"], p, 0, Subscribed)
	o.pass(time.Minute)
	o.want("U:!subscribed")
}

// One restart is told once, by whichever way it is known first.
func TestRestarted(t *testing.T) {
	told := func(first, second func(o *owner, p *Publisher)) {
		t.Helper()
		o := newOwner(t, ordered, "T")
		p := o.pub("p", 0)
		o.event("T", p, 1, 1)
		first(o, p)
		o.pass(time.Second)
		second(o, p)
		o.pass(time.Minute)
		o.want("1 !incarnation")
	}
	notice := func(o *owner, p *Publisher) { o.tr.Notice(o.now, nil, p, 2, Incarnation) }
	event := func(o *owner, p *Publisher) { o.event("T", p, 2, 1) }
	nothing := func(*owner, *Publisher) {}
	told(notice, notice)
	told(event, notice)
	told(notice, nothing)
	o := newOwner(t, ordered, "T")
	o.tr.Notice(0, nil, o.pub("p", 0), 2, Incarnation) // of one that was never heard
	o.pass(time.Second)
	o.want("!incarnation")
}

// Of a publisher that is heard of for the first time, on a driver that loses, a
// whole incarnation may have been missed: that is told, also of quiet topics.
func TestFirstHeard(t *testing.T) {
	o := newOwner(t, lossy, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1, 2)
	o.want("1 2")
	o.pass(time.Second)
	if len(o.log) != 2 {
		t.Errorf("told %q, want both topics", o.log)
	}
	o.log = nil
	o.event("U", p, 1, 1)
	o.pass(time.Minute)
	o.want("U:1")
}

// Resyncs of many topics are spread, and those of one told at once.
func TestSpread(t *testing.T) {
	names := make([]string, 100)
	for i := range names {
		names[i] = string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	o := newOwner(t, ordered, names...)
	o.tr.Notice(0, nil, o.pub("p", 0), 0, Behind)
	for range 10 {
		before := len(o.log)
		o.pass(100 * time.Millisecond)
		if n := len(o.log) - before; n < 1 || n > 30 {
			t.Errorf("%d of 100 topics in a tenth of the window", n)
		}
	}
	if len(o.log) != 100 {
		t.Errorf("%d resyncs, want 100", len(o.log))
	}
}

// A second cause while a resync is due makes no second one, nor a later one.
func TestCausesMeet(t *testing.T) {
	o := newOwner(t, ordered, "T")
	p := o.pub("p", 0)
	for range 50 {
		o.tr.Notice(o.now, nil, p, 0, Behind)
		o.pass(10 * time.Millisecond)
	}
	o.pass(time.Second)
	if n := len(o.log); n < 1 || n > 2 {
		t.Errorf("told %d times", n)
	}
}

func TestHandlerFails(t *testing.T) {
	o := newOwner(t, ordered, "T")
	p := o.pub("p", 0)
	o.fails = 4
	o.event("T", p, 1, 1)
	o.pass(time.Second)
	o.event("T", p, 1, 2) // fails on an event
	o.want("1? !handler? !handler? 2? !handler")
	o.pass(time.Hour)
	o.want("")
	o.event("T", p, 1, 3)
	o.want("3")

	// Pauses grow up to a bound, and it is never given up.
	o.fails = 1000
	o.event("T", p, 1, 5)
	o.pass(time.Hour)
	if n := len(o.log); n < 100 || n > 130 {
		t.Errorf("told %d times in an hour", n)
	}
	o.fails, o.log = 0, nil
	o.pass(maxPause)
	o.pass(time.Hour)
	o.want("!gap")
}

func TestFailedCoveredResync(t *testing.T) {
	o := newOwner(t, ordered, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.tr.Notice(o.now, nil, p, 1, Behind)
	o.event("T", p, 1, 2)
	o.fails = 1
	o.pass(time.Second)
	o.event("T", p, 1, 3) // was told of 2, and will be again
	o.want("1 !behind? 3")
	o.pass(2 * time.Second)
	o.want("!behind")
}

func TestDropped(t *testing.T) {
	o := newOwner(t, datagrams, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1, 3)
	o.event("U", p, 1, 1)
	o.tr.Notice(o.now, nil, p, 1, Behind)
	o.log = nil
	o.topics["T"].Drop()
	o.topics["T"] = NewTopic("T") // again
	o.pass(3 * time.Second)
	o.want("U:!behind")
	o.event("T", p, 1, 9)
	o.want("!subscribed 9")
}

func TestForgot(t *testing.T) {
	o := newOwner(t, ordered, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 5)
	o.tr.Forgot()
	o.event("U", p, 1, 5)
	o.event("T", p, 1, 6)
	o.want("5 U:!subscribed U:5 6")
}

func TestEventAllocs(t *testing.T) {
	tr := New(ordered)
	topic, p := NewTopic("T"), tr.Publisher("p", 0)
	seq := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		tr.Event(0, topic, p, 1, seq)
		tr.Ready(topic, p)
	}); n != 0 {
		t.Errorf("%v allocations for an event", n)
	}
}

func BenchmarkEvent(b *testing.B) {
	tr := New(ordered)
	topic, p := NewTopic("T"), tr.Publisher("p", 0)
	seq := uint64(0)
	for b.Loop() {
		seq++
		tr.Event(0, topic, p, 1, seq)
	}
}
