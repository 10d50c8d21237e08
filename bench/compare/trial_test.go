package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func smallOptions(t *testing.T) *options {
	t.Helper()
	o, err := parseOptions([]string{"-duration", "50ms", "-warmup", "10ms", "-rounds", "1",
		"-subs", "3", "-paced", "3:1ms", "-chain-subs", "2", "-chain-workers", "2", "-ipc-workers", "2"})
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
