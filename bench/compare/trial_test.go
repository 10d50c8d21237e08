package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func smallOptions(t *testing.T) *options {
	t.Helper()
	o, err := parseOptions([]string{"-duration", "50ms", "-warmup", "10ms", "-rounds", "1",
		"-subs", "3", "-paced", "3:1ms", "-chain-subs", "2", "-chain-workers", "2", "-ipc-workers", "2",
		"-isolation-subs", "20", "-isolation-gap", "2ms", "-isolation-bulk", "12000000", "-isolation-duration", "50ms"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Every scenario runs to its end and loses nothing. Nothing is said about time.
func TestEveryScenarioWithTheRivals(t *testing.T) {
	o := smallOptions(t)
	for _, s := range scenarios(o) {
		for _, r := range s.rivals {
			if r.Kind == kindOurs {
				continue
			}
			t.Run(s.name+"/"+r.Name, func(t *testing.T) {
				f, err := tryOnce(t.Context(), o, s, s.sizes[0], r)
				if err != nil {
					t.Fatal(err)
				}
				if !f.valid() || f.Other != 0 || f.CPU <= 0 {
					t.Errorf("got %+v, want a valid run", f)
				}
				if s.sizes[0].Gap > 0 && (f.Latency == nil || f.Latency.P50 <= 0) {
					t.Errorf("latency is %+v", f.Latency)
				}
			})
		}
	}
}

// Those who misbehave do so with effect, and the others lose nothing. Nothing is
// said about time.
func TestIsolation(t *testing.T) {
	o := smallOptions(t)
	s := isolation(o)
	for _, r := range s.rivals {
		t.Run(r.Name, func(t *testing.T) {
			f, err := tryOnce(t.Context(), o, s, s.sizes[0], r)
			if err != nil {
				t.Fatal(err)
			}
			if !f.valid() || harm(f) != 0 || f.CPU <= 0 || f.PeakRSS <= 0 || f.Latency == nil || f.Latency.P50 <= 0 {
				t.Errorf("got %+v, want a valid run", f)
			}
		})
	}
}

func TestCrowdIsAShareOfAll(t *testing.T) {
	for _, c := range []struct{ healthy, percent, want int }{
		{200, 0, 0}, {200, 1, 2}, {200, 20, 50}, {20, 20, 5}, {3, 1, 1},
	} {
		if got := crowdSize(c.healthy, c.percent); got != c.want {
			t.Errorf("crowdSize(%d, %d) = %d, want %d", c.healthy, c.percent, got, c.want)
		}
	}
	for n := range 12 {
		counted := map[deed]int{}
		for i := range n {
			counted[deed(i%int(deeds))]++
		}
		for d := range deeds {
			if got := doers(n, d); got != counted[d] {
				t.Errorf("doers(%d, %d) = %d, want %d", n, d, got, counted[d])
			}
		}
	}
}

func TestMisbehaved(t *testing.T) {
	cases := []struct {
		name  string
		st    driver.Status
		crowd string
		n     int
		want  bool
	}{
		{"nobody", driver.Status{}, "", 0, true},
		{"all behind", driver.Status{Lost: 10}, crowdStopped, 10, true},
		{"one not behind", driver.Status{Lost: 9}, crowdSlow, 10, false},
		{"hostile", driver.Status{Lost: 2, Refused: 1, Malformed: 1}, crowdHostile, 10, true},
		{"hostile, and read", driver.Status{Lost: 1, Refused: 1, Malformed: 1}, crowdHostile, 10, false},
		{"hostile, not refused", driver.Status{Lost: 2, Malformed: 1}, crowdHostile, 10, false},
		{"hostile, nothing malformed", driver.Status{Lost: 2, Refused: 1}, crowdHostile, 10, false},
	}
	for _, c := range cases {
		if err := misbehaved(&c.st, c.crowd, c.n); (err == nil) != c.want {
			t.Errorf("%s: got error %v", c.name, err)
		}
	}
}

func TestTrialEndsItsChildrenWhenOneFails(t *testing.T) {
	o := smallOptions(t)
	trial, err := newTrial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := trial.start(job{Role: "publisher", Kind: kindLibzmq, IOThreads: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = trial.start(job{Role: "reader", Address: "127.0.0.1:1", Subscribers: 1, Workers: 1})
	if err == nil || !strings.Contains(err.Error(), "reader: subscriber 1 of 1: connect") {
		t.Errorf("got error %v, want the reader's", err)
	}
	if err := trial.close(); err != nil {
		t.Error(err)
	}
	if err := publisher.cmd.Process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("publisher after close: %v, want %v", err, os.ErrProcessDone)
	}
	if _, err := os.Stat(trial.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after close: %v, want none", err)
	}
}

func TestTrialGivesUpOnASilentChild(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	trial, err := newTrial(ctx, smallOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer trial.close()
	puller, err := trial.start(job{Role: "puller", Kind: kindLibzmq, Path: trial.path(), Workers: 1, IOThreads: 1, Receives: true})
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("enough")
	time.AfterFunc(10*time.Millisecond, func() { cancel(gone) })
	if _, err := trial.measure(nil, puller, puller); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
