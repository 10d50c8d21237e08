package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that was measured.
type report struct {
	Started  time.Time
	Machine  machine
	Options  reportOptions
	Rows     []*row
	Verdicts []verdict

	scenarios []scenario
	rivals    map[string][]rival // of a scenario, as run
}

type reportOptions struct {
	Rounds           int
	Duration, Warmup string
	Window, HWM      int
	Worker           string
}

// row is one rival at one size of one scenario.
type row struct {
	Scenario string
	Size     size
	Rival    rival
	Runs     []run

	notBuilt bool
}

type run struct {
	Round int
	figures
	Valid bool
	Error string `json:",omitempty"`
}

func newReport(o *options, n network) *report {
	return &report{
		Started: time.Now(),
		Machine: describeMachine(n),
		Options: reportOptions{
			Rounds:   o.rounds,
			Duration: o.duration.String(),
			Warmup:   o.warmup.String(),
			Window:   o.window,
			HWM:      o.hwm,
			Worker:   o.chainKind,
		},
		rivals: make(map[string][]rival),
	}
}

func (r *report) add(s scenario, rivals []rival) {
	r.scenarios = append(r.scenarios, s)
	r.rivals[s.name] = rivals
}

func (r *report) record(s scenario, size size, rival rival, round int, f figures, err error) {
	row := r.row(s.name, size, rival)
	if row == nil {
		row = newRow(s.name, size, rival)
		r.Rows = append(r.Rows, row)
	}
	run := run{Round: round + 1, figures: f, Valid: err == nil && f.valid()}
	if err != nil {
		run.Error = err.Error()
		row.notBuilt = errors.Is(err, errNotBuilt)
	}
	row.Runs = append(row.Runs, run)
}

func newRow(scenario string, size size, rival rival) *row {
	return &row{Scenario: scenario, Size: size, Rival: rival}
}

func (r *report) row(scenario string, size size, rival rival) *row {
	for _, row := range r.Rows {
		if row.Scenario == scenario && row.Size == size && row.Rival == rival {
			return row
		}
	}
	return nil
}

// valid are the figures of the runs without loss or error.
func (r *row) valid() []figures {
	var out []figures
	for _, run := range r.Runs {
		if run.Valid {
			out = append(out, run.figures)
		}
	}
	return out
}

// judge makes the verdicts of the scenarios whose judged rivals took part.
func (r *report) judge() {
	r.Verdicts = nil
	for _, s := range r.scenarios {
		for _, size := range s.sizes {
			for _, c := range r.contests(s, size) {
				for _, t := range s.targets {
					if t.kind == compares && c.twin == nil {
						continue // it is what is judged
					}
					v := t.judge(c)
					v.Scenario, v.Size = s.name, size.String()
					r.Verdicts = append(r.Verdicts, v)
				}
			}
		}
	}
}

// contests are ours against libzmq, or everybody against the baseline. Ours
// through the API is reported and not judged.
func (r *report) contests(s scenario, size size) []contest {
	rivals := r.rivals[s.name]
	if s.baseline != (rival{}) {
		var out []contest
		for _, rival := range rivals {
			c := contest{name: rival.Name, judged: r.row(s.name, size, rival), opponent: s.baseline.Name}
			if base := r.row(s.name, size, s.baseline); base != nil {
				c.others = []*row{base}
			}
			if rival == s.baseline || rival.Elsewhere {
				continue
			}
			for _, other := range rivals {
				if other.Elsewhere && other.Crowd == rival.Crowd && other.Percent == rival.Percent {
					c.twin = r.row(s.name, size, other)
				}
			}
			out = append(out, c)
		}
		return out
	}
	if !slices.Contains(rivals, oursRival) {
		return nil
	}
	c := contest{name: oursRival.Name, judged: r.row(s.name, size, oursRival), opponent: kindLibzmq}
	for _, rival := range rivals {
		if row := r.row(s.name, size, rival); row != nil && rival.Kind == kindLibzmq {
			c.others = append(c.others, row)
		}
	}
	return []contest{c}
}

// missed says whether a target was missed or could not be judged.
func (r *report) missed() bool {
	for _, v := range r.Verdicts {
		if !v.Met {
			return true
		}
	}
	return false
}

// print writes a table per scenario: medians, and in brackets the extremes.
func (r *report) print(w io.Writer) {
	m := r.Machine
	namespace := "the machine's network"
	if m.Network.Own {
		namespace = "own network namespace"
	}
	fmt.Fprintf(w, "%s, %d processors, Linux %s, %s, libzmq %s\n", m.CPU, m.Processors, m.Kernel, m.Go, m.Libzmq)
	fmt.Fprintf(w, "%s, congestion control %s; %d rounds of %s after %s; median [min max]\n",
		namespace, m.Network.Congestion, r.Options.Rounds, r.Options.Duration, r.Options.Warmup)
	for _, s := range r.scenarios {
		fmt.Fprintf(w, "\n%s\n", s.title())
		for _, size := range s.sizes {
			r.printSize(w, s, size)
		}
	}
}

func (r *report) printSize(w io.Writer, s scenario, size size) {
	fmt.Fprintf(w, "\n  %s\n", size)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	timed, peers := size.Gap > 0, s.baseline != rival{}
	fmt.Fprintf(tw, "  rival\tdeliveries/s\t%s CPU ns\tmachine CPU ns\t", s.billed)
	if timed {
		fmt.Fprint(tw, "p50 us\tp99 us\t")
	}
	if peers {
		fmt.Fprint(tw, "peak RSS MB\tfell behind\trefused\t")
	}
	fmt.Fprint(tw, "lost\tvalid runs\n")
	for _, rival := range r.rivals[s.name] {
		if row := r.row(s.name, size, rival); row != nil {
			row.print(tw, timed, peers)
		}
	}
	tw.Flush()
	for _, v := range r.Verdicts {
		if v.Scenario == s.name && v.Size == size.String() {
			fmt.Fprintf(w, "  %s\n", v)
		}
	}
}

func (r *row) print(w io.Writer, timed, peers bool) {
	if r.notBuilt {
		fmt.Fprintf(w, "  %s\t%s\n", r.Rival.Name, errNotBuilt)
		return
	}
	valid := r.valid()
	columns := []string{
		r.Rival.Name,
		formatSpread(spreadOf(valid, perSecond), count),
		formatSpread(spreadOf(valid, cpu), whole),
		formatSpread(spreadOf(valid, machineCPU), whole),
	}
	if timed {
		columns = append(columns,
			formatSpread(spreadOf(valid, p50), micro),
			formatSpread(spreadOf(valid, p99), micro))
	}
	if peers {
		columns = append(columns,
			formatSpread(spreadOf(valid, rss), mega),
			formatSpread(spreadOf(valid, fellBehind), whole),
			formatSpread(spreadOf(valid, refused), count))
	}
	var lost, wrong uint64
	for _, run := range r.Runs {
		lost += run.Lost
		wrong += run.Disorder
	}
	losses := fmt.Sprint(lost)
	if wrong > 0 {
		losses += fmt.Sprintf(" (+%d out of order)", wrong)
	}
	runs := fmt.Sprintf("%d of %d", len(valid), len(r.Runs))
	if len(valid) < len(r.Runs) {
		runs += " INVALID"
	}
	columns = append(columns, losses, runs)
	fmt.Fprintf(w, "  %s\n", strings.Join(columns, "\t"))
}

func formatSpread(s spread, format func(float64) string) string {
	if s == (spread{}) {
		return "-"
	}
	return fmt.Sprintf("%s [%s %s]", format(s.Median), format(s.Min), format(s.Max))
}

// count formats a large number of things.
func count(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.0f k", n/1e3)
	}
	return whole(n)
}

func whole(n float64) string { return fmt.Sprintf("%.0f", n) }
func mega(n float64) string  { return fmt.Sprintf("%.1f", n/(1<<20)) }
func micro(n float64) string { return whole(n / 1000) }

func (r *report) writeJSON(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
