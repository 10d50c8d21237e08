package tracker

import (
	"fmt"
	"testing"
	"time"
)

func TestSilence(t *testing.T) {
	o := newOwner(t, datagrams, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.event("U", p, 1, 1)
	o.pass(time.Second) // it was heard of for the first time
	o.log = nil
	for count := range uint64(10) {
		o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: count + 1})
		o.pass(time.Second)
	}
	o.want("")
	o.pass(2500 * time.Millisecond)
	o.want("") // spread from here on
	o.pass(time.Second)
	if len(o.log) != 2 {
		t.Errorf("told %q, want both topics", o.log)
	}
	o.log = nil
	o.pass(time.Hour)
	o.want("") // once

	// What was published meanwhile was missed, its beacons too.
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 3613})
	o.pass(time.Second)
	if len(o.log) != 2 {
		t.Errorf("told %q, want both topics", o.log)
	}
}

// Events are a sign of life from the first one on.
func TestSilenceWithoutBeat(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	o.event("T", o.pub("p", 0), 1, 1)
	o.pass(5 * time.Second)
	o.want("1 !subscribed !lost")
}

func TestBeats(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts []uint64 // one every second
		want   string
	}{
		{"each", []uint64{1, 2, 3, 4}, "1 !subscribed"},
		{"some lost", []uint64{1, 4, 7}, "1 !subscribed"},
		{"twice, late", []uint64{1, 2, 2, 1, 3}, "1 !subscribed"},
		{"joined late", []uint64{1000, 1001}, "1 !subscribed"},
		// The clock stood still, and the publisher didn't.
		{"asleep", []uint64{1, 2, 60, 61}, "1 !subscribed !gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOwner(t, datagrams, "T")
			p := o.pub("p", 0)
			o.event("T", p, 1, 1)
			for _, count := range c.counts {
				o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: count})
				o.pass(time.Second)
			}
			o.want(c.want)
		})
	}
}

// A beat that comes late or twice proves nothing.
func TestOldBeats(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	for range 10 {
		o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 1})
		o.pass(time.Second)
	}
	o.want("1 !subscribed !lost")
}

func TestBeatOfNewIncarnation(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 50})
	o.pass(time.Second)
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 2, Count: 1})
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 51}) // late
	o.pass(time.Second)
	o.want("1 !subscribed !incarnation")
}

// Where the driver doesn't say who sends, the beats do.
func TestNamelessBeats(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	beat := func(epoch, count uint64) {
		o.tr.Beat(o.now, o.pub("", epoch), Beat{ID: "p", Epoch: epoch, Count: count})
	}
	o.event("T", o.pub("", 1), 1, 1)
	beat(1, 7)
	o.event("T", o.pub("", 2), 2, 1)
	o.want("1 1")
	beat(2, 1)
	beat(1, 8) // late
	o.pass(time.Second)
	o.want("!subscribed") // the second one may have lived before, too
	o.event("T", o.pub("", 2), 2, 2)
	o.want("2")
	for count := range uint64(8) {
		beat(2, count+2)
		o.pass(time.Second)
	}
	o.want("")
	o.pass(5 * time.Second)
	o.want("!lost")

	// The one that was heard last was not the last one: it is found out.
	beat(3, 1)
	for count := range uint64(8) {
		beat(2, count+100)
		o.pass(time.Second)
	}
	o.log = nil
	o.event("T", o.pub("", 2), 2, 3, 4)
	o.want("!subscribed 3 4")
}

func TestManyHearts(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	for i := range 5 * maxPublishers {
		o.tr.Beat(o.now, o.pub(fmt.Sprint(i), 0), Beat{ID: "p", Epoch: 1, Count: 1})
		if i%100 == 0 {
			o.pass(time.Second)
		}
	}
	if n := len(o.tr.hearts); n > maxPublishers {
		t.Errorf("%d hearts", n)
	}
}

// Whoever is heard from the first beat on, under an identity that nobody had
// before, has said nothing that was missed.
func TestFreshBeat(t *testing.T) {
	for _, c := range []struct {
		name string
		b    Beat
		want string
	}{
		{"from the first on", Beat{Fresh: true, Count: 1}, "1"},
		{"joined late", Beat{Fresh: true, Count: 2}, "1 !subscribed"},
		{"a known identity", Beat{Count: 1}, "1 !subscribed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOwner(t, datagrams, "T")
			p := o.pub("", 1)
			c.b.ID, c.b.Epoch = "p", 1
			o.tr.Beat(o.now, p, c.b)
			o.event("T", p, 1, 1)
			o.pass(time.Second)
			o.want(c.want)
		})
	}
	o := newOwner(t, datagrams, "T")
	p := o.pub("", 1)
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 1, Fresh: true})
	o.event("T", p, 1, 2) // but that was
	o.want("!subscribed 2")
}

// A publisher that said that it stops is not lost, unless something of it was.
func TestLastBeat(t *testing.T) {
	stop := func(missing uint64) *owner {
		o := newOwner(t, datagrams, "T")
		p := o.pub("p", 0)
		o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 1, Fresh: true})
		o.event("T", p, 1, 1)
		o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 2 + missing, Last: true})
		o.pass(time.Hour)
		return o
	}
	o := stop(0)
	o.want("1")
	// It goes on, and is listened for again.
	p := o.pub("p", 0)
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 3})
	o.event("T", p, 1, 2)
	o.pass(time.Second)
	o.want("2")
	o.pass(time.Hour)
	o.want("!lost")
	// What was said meanwhile was missed.
	o = stop(0)
	o.log = nil
	o.tr.Beat(o.now, o.pub("p", 0), Beat{ID: "p", Epoch: 1, Count: 30})
	o.pass(time.Second)
	o.want("!gap")
	o = stop(20)
	o.want("1 !gap !lost")
}

// What the new incarnation says waits for the notice that it is one: whoever
// reads then has what the old one said at its end.
func TestNamelessRestart(t *testing.T) {
	o := newOwner(t, Options{Spread: time.Second, LostAfter: 3500 * time.Millisecond}, "T")
	old := o.pub("", 1)
	o.tr.Beat(o.now, old, Beat{ID: "p", Epoch: 1, Count: 1})
	o.event("T", old, 1, 1)
	o.want("1")
	o.log = nil
	next := o.pub("", 2)
	o.tr.Beat(o.now, next, Beat{ID: "p", Epoch: 2, Count: 1})
	o.event("T", next, 2, 1)
	o.pass(time.Second)
	o.event("T", next, 2, 2)
	o.want("!incarnation 2")
}
