package fanlog

import (
	"fmt"
	"testing"
	"time"
)

// The loss is told first, and a position of then is good.
func TestPositionAfterLoss(t *testing.T) {
	l := still(t)
	s := enter(l)
	if err := s.Subscribe("x"); err != nil {
		t.Fatal(err)
	}
	put(l, event(1, "x", 100))
	l.takeIn()
	retireAll(l, s)
	if _, _, whole := s.Position(); whole || s.Resume(7) {
		t.Error("a session that was not told of its loss has a position, or resumes")
	}
	take(t, l, s, 1000)
	if offset, messages, whole := s.Position(); offset != 7 || messages != 0 || !whole {
		t.Errorf("position %d, %d, %v, want 7, 0, true", offset, messages, whole)
	}
}

// Marks come often enough, whatever the socket takes at a time, and are right.
func TestMarks(t *testing.T) {
	const events, size = 3000, 1000
	for _, buffer := range []int{2 << 10, 64 << 10, 0} {
		for _, op := range []request{{'p', ""}, {'s', "x"}} {
			t.Run(fmt.Sprintf("%d %c", buffer, op.op), func(t *testing.T) {
				f := open(t, Options{Loops: 1})
				p := connectMarked(t, f, buffer)
				p.subscribe(op.op, op.text)
				quiet := connect(t, f, 0)
				quiet.subscribe('s', "none")
				var frames []Frame
				for i := range events {
					frames = append(frames, event(2*i+1, "x", size), event(2*i+2, "y", size))
				}
				mustAppend(t, f, frames...)
				m := &model{topics: make([]string, 1), asked: []request{op}, known: []int{0}}
				for range events {
					m.topics = append(m.topics, "x", "y")
				}
				m.items = append(m.items, item{kind: kindAck, number: 1})
				want := events
				if op.op == 'p' {
					want *= 2
				}
				_ = p.conn.SetReadDeadline(time.Now().Add(forever))
				buf := make([]byte, 64<<10)
				for got := 0; got < want; got = len(m.numbers()) {
					n, err := p.conn.Read(buf)
					if err == nil {
						err = m.read(buf[:n], 0)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				marks, since := 0, 0
				for _, it := range m.items {
					switch it.kind {
					case kindMark:
						marks++
						since = 0
					case kindEvent:
						// A mark is due after what one write adds, at most.
						if since += size; since > markEvery+wholeWrite+size {
							t.Fatalf("%d bytes without a mark", since)
						}
					}
				}
				if most := want * size / markEvery; marks > most || marks < most/4 {
					t.Errorf("%d marks in %d bytes", marks, want*size)
				}
				m.topics = m.topics[:m.items[len(m.items)-1].number+1] // a mark may be behind the last event
				if _, err := m.judge(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
