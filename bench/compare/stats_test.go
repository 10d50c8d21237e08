package main

import (
	"math"
	"testing"
)

func TestPercentileIsNearestRank(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	cases := []struct {
		sorted []int64
		p      int
		want   int64
	}{
		{[]int64{7}, 50, 7},
		{[]int64{7}, 99, 7},
		{[]int64{1, 2}, 50, 1},
		{[]int64{1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred[:99], 99, 99},
	}
	for _, c := range cases {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile(%d samples, %d) = %d, want %d", len(c.sorted), c.p, got, c.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	if got := summarize(nil); got != nil {
		t.Errorf("without samples: got %+v, want nil", got)
	}
	want := latency{Samples: 4, P50: 2, P99: 9, Max: 9}
	if got := summarize([]int64{9, 1, 3, 2}); *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestSpread(t *testing.T) {
	cases := []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{5}, spread{5, 5, 5}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{9, 1, 5, 7}, spread{6, 1, 9}},
	}
	for _, c := range cases {
		var runs []figures
		for _, v := range c.values {
			runs = append(runs, figures{CPU: v})
		}
		if got := spreadOf(runs, cpu); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.values, got, c.want)
		}
	}
}

func TestFiguresDoNotDependOnWhenTheSnapshotsWereTaken(t *testing.T) {
	// 1000 deliveries/s seen over 1 s, 50 ms of CPU time over 0.5 s, 400 ms over 2 s.
	first := marks{machine: machineTime{at: 0, busy: 0}, receiver: snapshot{At: 5e8}, billed: snapshot{At: 6e8}}
	second := marks{
		machine:  machineTime{at: 2e9, busy: 4e8},
		receiver: snapshot{At: 15e8, Count: 1000},
		billed:   snapshot{At: 11e8, CPU: 5e7},
	}
	f := newFigures(first, second, snapshot{Lost: 3})
	if math.Round(f.PerSecond) != 1000 || math.Round(f.CPU) != 1e5 || math.Round(f.MachineCPU) != 2e5 || f.Lost != 3 {
		t.Errorf("got %+v", f)
	}
	if f.valid() {
		t.Error("a run with loss is valid")
	}
}

func TestFiguresWithoutDeliveriesAreInvalid(t *testing.T) {
	f := newFigures(marks{}, marks{receiver: snapshot{At: 1e9}, billed: snapshot{At: 1e9, CPU: 5}}, snapshot{})
	if f.valid() || f.CPU != 0 {
		t.Errorf("got %+v, want invalid and no CPU figure", f)
	}
}

func TestParseStat(t *testing.T) {
	busy, err := parseStat([]byte("cpu  1 2 3 1000 1000 4 5 1000 0 0\ncpu0 9 9 9 9 9 9 9\n"))
	if err != nil || busy != 15*1e7 {
		t.Errorf("got %d, %v, want %d", busy, err, int64(15*1e7))
	}
	if _, err := parseStat([]byte("intr 5")); err == nil {
		t.Error("other first line: want an error")
	}
}
