package tracker

import (
	"fmt"
	"testing"
)

// What was delivered under a name is not delivered again when the name is held
// again and the driver goes on from an older mark; what is newer is.
func TestInherit(t *testing.T) {
	tr := New(Options{})
	p, q := tr.Publisher("p", 0), tr.Publisher("q", 0)
	say := func(topic *Topic, pub *Publisher, epoch, seq uint64, want Verdict) {
		t.Helper()
		if got, _ := tr.Event(0, topic, pub, epoch, seq); got != want {
			t.Errorf("%s %x/%d: %v, want %v", pub.ID, epoch, seq, got, want)
		}
	}
	a := NewTopic("a")
	say(a, p, 1, 40, Deliver)
	say(a, p, 1, 41, Deliver)
	say(a, q, 2, 7, Deliver)
	for range 2 { // once more without an event in between, and it is not forgotten
		a.Drop()
		a = NewTopic("a")
		say(a, p, 1, 40, Duplicate)
		say(a, p, 1, 41, Duplicate)
		say(a, q, 2, 7, Duplicate)
	}
	say(a, q, 2, 9, Deliver) // what came while nobody held it is nobody's business
	say(a, p, 1, 42, Deliver)
	say(a, p, 1, 41, Duplicate)
	a.Drop()
	a = NewTopic("a")
	say(a, p, 1, 42, Duplicate)
	say(a, q, 2, 8, Duplicate)
	say(a, q, 2, 10, Deliver)
	say(NewTopic("b"), p, 1, 1, Deliver)
}

// Ever new topics leave no more than a bounded number of names.
func TestInheritIsBounded(t *testing.T) {
	tr := New(Options{})
	p := tr.Publisher("p", 0)
	for i := range 4 * minNames {
		topic := NewTopic(fmt.Sprint(i))
		tr.Event(0, topic, p, 1, 1)
		topic.Drop()
	}
	if n := len(tr.latest); n > minNames {
		t.Errorf("%d names are remembered", n)
	}
}
