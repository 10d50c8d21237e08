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
		o.tr.Beat(o.now, "p", p, 1, count+1)
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
	o.tr.Beat(o.now, "p", p, 1, 3613)
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
				o.tr.Beat(o.now, "p", p, 1, count)
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
		o.tr.Beat(o.now, "p", p, 1, 1)
		o.pass(time.Second)
	}
	o.want("1 !subscribed !lost")
}

func TestBeatOfNewIncarnation(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.tr.Beat(o.now, "p", p, 1, 50)
	o.pass(time.Second)
	o.tr.Beat(o.now, "p", p, 2, 1)
	o.tr.Beat(o.now, "p", p, 1, 51) // late
	o.pass(time.Second)
	o.want("1 !subscribed !incarnation")
}

// Where the driver doesn't say who sends, the beats do.
func TestNamelessBeats(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	beat := func(epoch, count uint64) { o.tr.Beat(o.now, "p", o.pub("", epoch), epoch, count) }
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
		o.tr.Beat(o.now, "p", o.pub(fmt.Sprint(i), 0), 1, 1)
		if i%100 == 0 {
			o.pass(time.Second)
		}
	}
	if n := len(o.tr.hearts); n > maxPublishers {
		t.Errorf("%d hearts", n)
	}
}
