//go:build linux

package campaign

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

func at(ms int64) int64 { return ms * int64(time.Millisecond) }

// What a round has logged can be judged again by itself, also when it is not the
// first; older rounds are deleted.
func TestJournal(t *testing.T) {
	j := newJournal(t.TempDir())
	checker := validator.New(judgement())
	round := func(number int, known []validator.Record, rs ...validator.Record) *validator.Result {
		t.Helper()
		if err := j.begin(number, known); err != nil {
			t.Fatal(err)
		}
		j.text("n1", "hello")
		for _, r := range rs {
			j.add(r)
		}
		for _, r := range j.take() {
			checker.Add(r)
		}
		return checker.Check(time.Duration(number+1) * time.Minute)
	}
	event := func(ms int64, n uint64) validator.Record {
		return validator.Record{Kind: validator.KindEvent, At: at(ms), Session: "n1.1", Publisher: "a", Epoch: 5, Seq: n, Topic: "t", Worker: "w1.1", N: n}
	}
	accept := func(ms int64, n uint64) validator.Record {
		return validator.Record{Kind: validator.KindAccept, At: at(ms), End: at(ms), Publisher: "a", Topic: "t", Worker: "w1.1", N: n}
	}
	end := validator.Record{Kind: validator.KindCheck}
	end.At = int64(time.Minute)
	if r := round(0, nil, validator.Record{Kind: validator.KindOpen, At: 1, Session: "n1.1", Node: "n1"},
		validator.Record{Kind: validator.KindSubscribe, At: 2, Session: "n1.1", Topic: "t"},
		validator.Record{Kind: validator.KindSubscribed, At: 3, Session: "n1.1", Topic: "t"},
		accept(10, 1), event(11, 1), end); r.Total() > 0 {
		t.Fatalf("round 0: %v", r.Violations)
	}
	end.At = int64(2 * time.Minute)
	r := round(1, checker.Snapshot(), accept(60010, 2), accept(60020, 3), event(60021, 3), end)
	if r.Found[validator.Told] != 1 || r.Found[validator.Notice] != 1 || r.Total() != 2 {
		t.Errorf("round 1: %v", r.Violations)
	}
	if err := j.begin(2, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(j.dir, "round-0000")); !os.IsNotExist(err) {
		t.Errorf("round 0 is still there: %v", err)
	}
	f, err := os.Open(filepath.Join(j.dir, "round-0001", recordsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	again, err := Check(f)
	if err != nil {
		t.Fatal(err)
	}
	if again.Found[validator.Told] != 1 || again.Found[validator.Notice] != 1 || again.Total() != 2 {
		t.Errorf("judged again: %v", again.Violations)
	}
	if b, err := os.ReadFile(filepath.Join(j.dir, "round-0001", "n1.log")); err != nil || len(b) == 0 {
		t.Errorf("text of n1: %q, %v", b, err)
	}
}

// A log that ends too early proves nothing.
func TestCheckWantsTheEnd(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Check(f); err == nil {
		t.Error("an empty log passes")
	}
}
