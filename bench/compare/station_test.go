package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func newTestStation(t *testing.T, j job) *station {
	t.Helper()
	shared, err := newTally()
	if err != nil {
		t.Fatal(err)
	}
	shared.Workers = uint32(j.Workers)
	return &station{job: j, tally: shared, progress: &progress{}, clock: newClock()}
}

func TestStationCountsAndAddsWhatNeverCame(t *testing.T) {
	st := newTestStation(t, job{Workers: 2})
	for _, n := range []uint64{4, 5, 7, 7} {
		b := newBody(1)
		putDigits(b[seqAt:], n)
		st.countBody(b)
	}
	b := newBody(0)
	putDigits(b[seqAt:], 1)
	st.countValue(b[valueAt:])
	st.countValue([]byte("sync"))
	if !st.tally.flowing() {
		t.Error("both workers were heard and it does not flow")
	}

	atomic.StoreUint64(&st.tally.Target[0], 1)
	atomic.StoreUint64(&st.tally.Target[1], 9)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	st.awaitDrained(ctx)
	s := st.snapshot()
	if s.Count != 4 || s.Lost != 1+2 || s.Disorder != 1 || s.Other != 1 {
		t.Errorf("got %+v, want 4 counted, 3 lost, 1 twice, 1 other", s)
	}
}

func TestSourceStaysWithinTheWindow(t *testing.T) {
	st := newTestStation(t, job{Worker: 1, Window: 2})
	st.tally.Phase = phaseFull
	src := newSource(st)
	for want := uint64(1); want <= 2; want++ {
		if !src.next() {
			t.Fatal("source stopped")
		}
		src.sent()
		if e, ok := parseEvent(src.body); !ok || e.seq != want || e.worker != 1 {
			t.Errorf("event %d is %+v, %v", want, e, ok)
		}
	}
	allowed := make(chan bool)
	go func() { allowed <- src.next() }()
	select {
	case <-allowed:
		t.Fatal("third event while the slowest subscriber has none, want a wait")
	default:
	}
	atomic.StoreUint64(&st.progress[1], 1)
	if !<-allowed {
		t.Error("source stopped when the subscriber caught up")
	}
	atomic.StoreUint32(&st.tally.Phase, phaseStop)
	if src.next() {
		t.Error("source goes on after the stop")
	}
	if got := st.snapshot().Count; got != 2 {
		t.Errorf("%d events counted as sent, want 2", got)
	}
}

func TestPacedSourceAlternatesWithLargeEvents(t *testing.T) {
	st := newTestStation(t, job{Gap: time.Millisecond, Bulk: 1000})
	st.tally.Phase = phaseFull
	src := newSource(st)
	src.due = st.clock.now()/1000*1000 - int64(time.Second)
	first := src.due
	for i := range uint64(4) {
		if !src.next() {
			t.Fatal("source stopped")
		}
		size, due := 1000, int64(0)
		if i%2 == 1 {
			size, due = bodySize, first+int64(i+1)*int64(time.Millisecond)/2
		}
		want := event{seq: i + 1, sentAt: due}
		if e, ok := parseEvent(src.body); !ok || e != want || len(src.body) != size {
			t.Errorf("event %d is %+v, %v, %d bytes, want %+v, %d bytes", i, e, ok, len(src.body), want, size)
		}
	}
}

func TestPacedSourceKeepsToTheGridWhenLate(t *testing.T) {
	st := newTestStation(t, job{Gap: time.Millisecond})
	st.tally.Phase = phaseFull
	src := newSource(st)
	src.due = st.clock.now()/1000*1000 - int64(time.Second) // a second late
	first := src.due + int64(time.Millisecond)
	for i := range int64(3) {
		if !src.next() {
			t.Fatal("source stopped")
		}
		want := first + i*int64(time.Millisecond)
		if e, ok := parseEvent(src.body); !ok || e.sentAt != want {
			t.Errorf("event %d is %+v, %v, want it due at %d", i, e, ok, want)
		}
	}
}
