package main

import "fmt"

// target is a figure that ours must reach.
type target struct {
	what   string
	figure func(figures) float64
	kind   targetKind
	limit  float64
}

type targetKind int

const (
	atMost  targetKind = iota // ours / libzmq
	atLeast                   // ours / libzmq
	reaches                   // ours alone
)

// verdict is a target with what was measured.
type verdict struct {
	Scenario string
	Size     string
	What     string
	Ours     float64
	Against  string  // the variant of libzmq that is best at this figure
	Libzmq   float64 // its figure
	Ratio    float64 // ours / libzmq; ours itself without a rival
	Target   string
	Met      bool
	Missing  string `json:",omitempty"` // why there's nothing to judge
}

// judge compares ours with the best of libzmq's variants, medians of valid runs.
func (t target) judge(ours *row, rivals []*row) verdict {
	v := verdict{What: t.what, Target: t.String()}
	if ours == nil || len(ours.valid()) == 0 {
		v.Missing = "no valid run of ours"
		if ours != nil && ours.notBuilt {
			v.Missing = errNotBuilt.Error()
		}
		return v
	}
	v.Ours = spreadOf(ours.valid(), t.figure).Median
	if t.kind == reaches {
		v.Ratio, v.Met = v.Ours, v.Ours >= t.limit
		return v
	}
	for _, r := range rivals {
		if len(r.valid()) == 0 {
			continue
		}
		m := spreadOf(r.valid(), t.figure).Median
		if v.Against == "" || t.kind == atMost && m < v.Libzmq || t.kind == atLeast && m > v.Libzmq {
			v.Against, v.Libzmq = r.Rival.Name, m
		}
	}
	if v.Libzmq == 0 {
		v.Missing = "no valid run of libzmq"
		return v
	}
	v.Ratio = v.Ours / v.Libzmq
	v.Met = t.kind == atMost && v.Ratio <= t.limit || t.kind == atLeast && v.Ratio >= t.limit
	return v
}

func (t target) String() string {
	if t.kind == atMost {
		return fmt.Sprintf("<= %.2f", t.limit)
	}
	if t.kind == reaches {
		return ">= " + count(t.limit)
	}
	return fmt.Sprintf(">= %.2f", t.limit)
}

func (v verdict) String() string {
	switch {
	case v.Missing != "":
		return fmt.Sprintf("%s: %s, target %s: MISSING", v.What, v.Missing, v.Target)
	case v.Against == "":
		return fmt.Sprintf("%s: ours %s, target %s: %s", v.What, count(v.Ours), v.Target, metWord(v.Met))
	}
	return fmt.Sprintf("%s: ours / %s = %.3f, target %s: %s", v.What, v.Against, v.Ratio, v.Target, metWord(v.Met))
}

func metWord(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
