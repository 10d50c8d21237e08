package tracker

import (
	"testing"
	"time"
)

// Who didn't listen has not been told of silence.
func TestDeafToBeats(t *testing.T) {
	o := newOwner(t, datagrams, "T")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.pass(time.Second)
	o.tr.Beat(o.now, p, Beat{ID: "p", Epoch: 1, Count: 1})
	o.log = nil
	o.pass(time.Second)
	o.now += time.Minute
	o.tr.Deaf(time.Minute)
	o.pass(2400 * time.Millisecond)
	o.want("")
	o.pass(1200 * time.Millisecond) // they are spread over one
	o.want("!lost")
}

// Nor does what he did not hear count as missing.
func TestDeafToEvents(t *testing.T) {
	o := newOwner(t, reorders, "T", "U")
	p := o.pub("p", 0)
	o.event("T", p, 1, 1)
	o.event("U", p, 1, 1)
	o.pass(2 * time.Second)
	o.log = nil
	o.event("T", p, 1, 3, 5)
	o.beacon("U", p, 1, 4)
	o.event("U", p, 1, 3)
	o.pass(900 * time.Millisecond)
	o.now += time.Minute
	o.tr.Deaf(time.Minute)
	o.event("T", p, 1, 2)
	o.event("U", p, 1, 2)
	o.pass(50 * time.Millisecond)
	o.event("T", p, 1, 4)
	o.event("U", p, 1, 4)
	o.pass(time.Minute)
	o.want("2 3 U:2 U:3 4 5 U:4")

	o.log = nil
	o.event("T", p, 1, 7)
	o.pass(500 * time.Millisecond)
	o.beacon("U", p, 1, 5)
	o.now += time.Minute
	o.tr.Deaf(time.Minute)
	o.pass(400 * time.Millisecond)
	o.want("")
	o.pass(200 * time.Millisecond)
	o.want("!gap")
	o.pass(500 * time.Millisecond)
	o.want("U:!gap")

	// A resync is due all the same, and nothing stands before it.
	for range 10 {
		o.event("T", p, 1, o.tr.of(o.topics["T"], p).last+2)
		o.pass(900 * time.Millisecond)
		o.tr.Notice(o.now, o.topics["U"], p, 0, Behind)
		o.now += time.Minute
		o.tr.Deaf(time.Minute)
		o.pass(0)
		o.want("U:!behind")
		o.pass(time.Second)
		o.want("!gap")
	}
}
