package main

import "fmt"

// target is a figure that a rival must reach.
type target struct {
	what   string
	figure func(figures) float64
	kind   targetKind
	limit  float64
}

type targetKind int

const (
	atMost     targetKind = iota // ratio to the best of the others
	atMostTwin                   // ratio to the twin, if there is one, else to the best of the others
	atLeast                      // ratio to the best of the others
	compares                     // ratio to the best of the others, where there is a twin: no target
	reaches                      // alone
	exceeds                      // at most so much more than the best of the others; bytes
	none                         // alone, and of all runs together, valid or not
)

// verdict is a target with what was measured.
type verdict struct {
	Scenario string
	Size     string
	What     string
	Rival    string  // who is judged
	Figure   float64 // its figure
	Against  string  // the one that is best at this figure, of those it's compared with
	Other    float64 // the figure of that one
	Ratio    float64 // of both; the figure itself when it's judged alone
	Target   string
	Met      bool
	Missing  string `json:",omitempty"` // why there's nothing to judge

	kind targetKind
}

// contest says who is judged against whom.
type contest struct {
	name     string // of who is judged
	judged   *row   // nil if it didn't take part
	others   []*row
	opponent string // what the others are called together
	twin     *row   // the same situation, but for what is judged; nil: none
}

// judge compares with the best of the others, medians of valid runs.
func (t target) judge(c contest) verdict {
	v := verdict{What: t.what, Rival: c.name, Target: t.String(), kind: t.kind}
	if t.kind == none {
		return t.judgeAll(c, v)
	}
	if c.judged == nil || len(c.judged.valid()) == 0 {
		v.Missing = "no valid run of " + c.name
		if c.judged != nil && c.judged.notBuilt {
			v.Missing = errNotBuilt.Error()
		}
		return v
	}
	v.Figure = spreadOf(c.judged.valid(), t.figure).Median
	if t.kind == reaches {
		v.Ratio, v.Met = v.Figure, v.Figure >= t.limit
		return v
	}
	others := c.others
	if t.kind == atMostTwin && c.twin != nil {
		others = []*row{c.twin}
	}
	for _, r := range others {
		if len(r.valid()) == 0 {
			continue
		}
		m := spreadOf(r.valid(), t.figure).Median
		if v.Against == "" || t.kind != atLeast && m < v.Other || t.kind == atLeast && m > v.Other {
			v.Against, v.Other = r.Rival.Name, m
		}
	}
	if v.Other == 0 {
		v.Missing = "no valid run of " + c.opponent
		return v
	}
	v.Ratio = v.Figure / v.Other
	switch t.kind {
	case atMost, atMostTwin:
		v.Met = v.Ratio <= t.limit
	case compares:
		v.Met = true
	case atLeast:
		v.Met = v.Ratio >= t.limit
	case exceeds:
		v.Met = v.Figure-v.Other <= t.limit
	}
	return v
}

// judgeAll adds up all runs: a median would hide the one that had it. A run that
// did not come to its end says nothing of what there is none of.
func (t target) judgeAll(c contest, v verdict) verdict {
	if c.judged == nil {
		v.Missing = "no run of " + c.name
		return v
	}
	for _, run := range c.judged.Runs {
		if run.Error != "" {
			v.Missing = "a run of " + c.name + " failed"
		}
		v.Figure += t.figure(run.figures)
	}
	v.Ratio = v.Figure
	v.Met = v.Figure == 0 && v.Missing == ""
	return v
}

func (t target) String() string {
	switch t.kind {
	case atMost, atMostTwin:
		return fmt.Sprintf("<= %.2f", t.limit)
	case compares:
		return "none"
	case reaches:
		return ">= " + count(t.limit)
	case exceeds:
		return "<= " + mega(t.limit) + " MB"
	case none:
		return "0"
	}
	return fmt.Sprintf(">= %.2f", t.limit)
}

func (v verdict) String() string {
	switch {
	case v.Missing != "":
		return fmt.Sprintf("%s: %s, target %s: MISSING", v.What, v.Missing, v.Target)
	case v.Against == "":
		return fmt.Sprintf("%s: %s %s, target %s: %s", v.What, v.Rival, count(v.Figure), v.Target, metWord(v.Met))
	case v.kind == compares:
		return fmt.Sprintf("%s: %s / %s = %.3f", v.What, v.Rival, v.Against, v.Ratio)
	case v.kind == exceeds:
		return fmt.Sprintf("%s: %s - %s = %s MB, target %s: %s",
			v.What, v.Rival, v.Against, mega(v.Figure-v.Other), v.Target, metWord(v.Met))
	}
	return fmt.Sprintf("%s: %s / %s = %.3f, target %s: %s", v.What, v.Rival, v.Against, v.Ratio, v.Target, metWord(v.Met))
}

func metWord(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
