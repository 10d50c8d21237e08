package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a report of one paced and one fanout size.
func sample(oursCPU float64, lost uint64, oursErr error) *report {
	r := newReport(&options{rounds: 3, duration: time.Second}, network{Own: true, Congestion: "cubic"})
	s := scenario{
		name: "fanout", billed: "publisher", sizes: []size{{Subs: 10}},
		targets: []target{{"publisher CPU per delivery", cpu, atMost, 0.2}},
	}
	r.add(s, []rival{oneThread, twoThreads, oursRival})
	for round := range 3 {
		r.record(s, s.sizes[0], oneThread, round, figures{PerSecond: 2e6, CPU: 500 + float64(round)}, nil)
		r.record(s, s.sizes[0], twoThreads, round, figures{PerSecond: 2e6, CPU: 400 + float64(round)}, nil)
		r.record(s, s.sizes[0], oursRival, round, figures{PerSecond: 2e7, CPU: oursCPU, Lost: lost}, oursErr)
	}
	r.judge()
	return r
}

func TestReportJudgesAgainstTheBestVariant(t *testing.T) {
	cases := []struct {
		name string
		r    *report
		want string
		met  bool
	}{
		{"met", sample(60.15, 0, nil), "ours / libzmq io=2 = 0.150, target <= 0.20: met", true},
		{"missed", sample(100.25, 0, nil), "ours / libzmq io=2 = 0.250, target <= 0.20: MISSED", false},
		{"loss", sample(60, 1, nil), "no valid run of ours", false},
		{"not built", sample(0, 0, errNotBuilt), "not built yet", false},
		{"failed", sample(0, 0, errors.New("x")), "no valid run of ours", false},
	}
	for _, c := range cases {
		if len(c.r.Verdicts) != 1 {
			t.Fatalf("%s: %d verdicts, want 1", c.name, len(c.r.Verdicts))
		}
		if got := c.r.Verdicts[0].String(); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, got, c.want)
		}
		if c.r.missed() == c.met {
			t.Errorf("%s: missed() = %v", c.name, c.r.missed())
		}
	}
}

func TestReportWithoutOursJudgesNothing(t *testing.T) {
	r := newReport(&options{}, network{})
	s := scenario{name: "ipc", sizes: []size{{Workers: 1}}, targets: []target{{"events per second", perSecond, atLeast, 2}}}
	r.add(s, []rival{oneThread})
	r.judge()
	if len(r.Verdicts) != 0 || r.missed() {
		t.Errorf("got verdicts %v", r.Verdicts)
	}
}

func TestTargetsOfTheOtherKinds(t *testing.T) {
	rowOf := func(r rival, v float64) *row {
		return &row{Rival: r, Runs: []run{{figures: figures{PerSecond: v}, Valid: true}}}
	}
	against := func(v float64) contest {
		return contest{judged: rowOf(oursRival, v), others: []*row{rowOf(oneThread, 1e6), rowOf(twoThreads, 2e6)}}
	}
	double := target{"events per second", perSecond, atLeast, 2}
	if v := double.judge(against(4e6)); !v.Met || v.Against != twoThreads.Name {
		t.Errorf("got %+v, want met against the faster variant", v)
	}
	if v := double.judge(against(3.9e6)); v.Met {
		t.Errorf("got %+v, want missed", v)
	}
	fast := target{"events per second", perSecond, reaches, 1.5e6}
	if v := fast.judge(contest{judged: rowOf(oursRival, 1.5e6)}); !v.Met {
		t.Errorf("got %+v, want met", v)
	}
	if v := fast.judge(contest{judged: rowOf(oursRival, 1.4e6)}); v.Met {
		t.Errorf("got %+v, want missed", v)
	}
}

// A situation of isolation against its twin, with a p99 of 1 ms, and healthy runs
// with one of 2 ms and a peak of 20 MB.
func TestReportJudgesAgainstTheBaseline(t *testing.T) {
	o := smallOptions(t)
	s := isolation(o)
	named := func(name string) rival {
		return s.rivals[slices.IndexFunc(s.rivals, func(r rival) bool { return r.Name == name })]
	}
	slow, twin := named("20% slow"), named("20% slow elsewhere")
	cases := []struct {
		name string
		f    figures
		err  error
		met  bool
		want []string
	}{
		{"met", figures{Latency: &latency{P99: 12e5}, PeakRSS: 36 << 20}, nil, true, []string{
			"lost by the others: 20% slow 0, target 0: met",
			"p99 of the others: 20% slow / 20% slow elsewhere = 1.200, target <= 1.20: met",
			"the same: 20% slow / healthy = 0.600\n",
			"publisher's peak RSS: 20% slow - healthy = 16.0 MB, target <= 16.0 MB: met"}},
		{"missed", figures{Latency: &latency{P99: 121e4}, PeakRSS: 36<<20 + 1<<19}, nil, false, []string{
			"= 1.210, target <= 1.20: MISSED", "= 16.5 MB, target <= 16.0 MB: MISSED"}},
		{"lost", figures{Lost: 1, Disorder: 1}, nil, false, []string{
			"20% slow 4, target 0: MISSED", "p99 of the others: no valid run of 20% slow, target <= 1.20: MISSING"}},
		{"told to resync", figures{Other: 1}, nil, false, []string{"20% slow 2, target 0: MISSED"}},
		{"failed", figures{}, errors.New("x"), false, []string{"lost by the others: a run of 20% slow failed, target 0: MISSING"}},
	}
	for _, c := range cases {
		r := newReport(o, network{})
		r.add(s, []rival{s.baseline, twin, slow})
		for round := range 2 {
			r.record(s, s.sizes[0], s.baseline, round, figures{PerSecond: 1, Latency: &latency{P99: 2e6}, PeakRSS: 20 << 20}, nil)
			r.record(s, s.sizes[0], twin, round, figures{PerSecond: 1, Latency: &latency{P99: 1e6}}, nil)
			f := c.f
			f.PerSecond = 1
			r.record(s, s.sizes[0], slow, round, f, c.err)
		}
		r.judge()
		var out strings.Builder
		r.print(&out)
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in:\n%s", c.name, want, out.String())
			}
		}
		if len(r.Verdicts) != 4 || r.missed() == c.met {
			t.Errorf("%s: %d verdicts, missed() = %v", c.name, len(r.Verdicts), r.missed())
		}
	}
}

func TestReportPrintsLossAsInvalid(t *testing.T) {
	var out strings.Builder
	sample(60, 7, nil).print(&out)
	for _, want := range []string{"congestion control cubic", "own network namespace", "21    0 of 3 INVALID", "401 [400 402]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestReportWritesEveryRoundAsJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	if err := sample(60, 0, nil).writeJSON(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 3 || len(got.Rows[0].Runs) != 3 || got.Rows[0].Runs[2].CPU != 502 || !got.Verdicts[0].Met {
		t.Errorf("got %s", b)
	}
	if got.Machine.Libzmq == "" || got.Machine.Kernel == "" || got.Machine.Network.Congestion != "cubic" {
		t.Errorf("machine is %+v", got.Machine)
	}
}

func TestOptionsRefuse(t *testing.T) {
	for _, args := range []string{
		"-scenario x", "-rivals x", "-subs 0", "-subs a", "-paced 100", "-paced 100:0s", "-ipc-workers 9",
		"-chain-workers 0", "-worker x", "-isolation-subs 0", "-isolation-gap 1us",
		"-isolation-bulk 100", "-isolation-bulk 999999999", "-isolation-duration 0s", "-rounds 0", "-duration 0s", "-hwm -1",
	} {
		if _, err := parseOptions(strings.Fields(args)); err == nil {
			t.Errorf("%s: want an error", args)
		}
	}
}
