package fanlog

import "testing"

// How far a session is behind, at each stage.
func TestLag(t *testing.T) {
	l := still(t)
	s := enter(l)
	want := func(when string, want Lag) {
		t.Helper()
		got := s.Lag()
		got.Since = want.Since
		if got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	if err := s.Subscribe("x"); err != nil {
		t.Fatal(err)
	}
	want("at first", Lag{})
	put(l, event(1, "y", 1000))
	l.takeIn()
	want("nothing for it", Lag{})
	put(l, event(2, "x", 1000), event(3, "y", 500), event(4, "x", 1000))
	want("not looked at", Lag{})
	l.takeIn()
	want("behind", Lag{Behind: true, Bytes: 2500})
	step(l, s, 300)
	want("inside an event", Lag{Behind: true, Bytes: 2200})
	s.slow = true
	want("without its claim", Lag{Behind: true, Slow: true, Bytes: 2200})
	for s.owed() {
		step(l, s, 1<<20)
	}
	want("caught up", Lag{Slow: true})
	s.slow = false
	put(l, event(5, "x", 1000))
	l.takeIn()
	for i := range 2 {
		put(l, event(6+i, "y", segmentSize-100))
		l.takeIn()
	}
	want("segments behind", Lag{Behind: true, Bytes: 1000 + 2*(segmentSize-100)})
	retireAll(l, nil)
	var retained int64
	for i := range l.window.views {
		retained += int64(len(l.window.views[i].data))
	}
	want("lost", Lag{Behind: true, Slow: true, Lost: true, Bytes: retained})
	if retained == 0 {
		t.Error("nothing is retained")
	}
}
