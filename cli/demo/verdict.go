package demo

import (
	"fmt"
	"strings"
	"time"
)

// Verdict is the result of a demo.
type Verdict struct {
	Converged      bool         `json:"converged"`
	Nodes          int          `json:"nodes"`
	ConvergedNodes int          `json:"converged_nodes"`
	Workers        int          `json:"workers"`
	Published      uint64       `json:"published"` // events
	Received       uint64       `json:"received"`  // events, counted per node
	Objects        int          `json:"objects"`   // in the end
	Resyncs        uint64       `json:"resyncs"`   // that nodes were told of
	Lag            Quantiles    `json:"lag_ns"`    // worker to node
	Seconds        float64      `json:"seconds"`
	Differences    []Difference `json:"differences,omitempty"` // by node
}

// Difference is how a node differs from what was published.
type Difference struct {
	Node  string   `json:"node"`
	Count int      `json:"count"` // of objects
	First []string `json:"first"` // some of them
}

// maxDifferences is how many objects of a node are named.
const maxDifferences = 5

func (v *Verdict) add(node string, differences []string) {
	v.Differences = append(v.Differences, Difference{
		Node:  node,
		Count: len(differences),
		First: differences[:min(len(differences), maxDifferences)],
	})
}

// String returns the verdict for people: one line, and if nodes differ, how.
func (v *Verdict) String() string {
	var b strings.Builder
	word := "converged"
	if !v.Converged {
		word = "not converged"
	}
	fmt.Fprintf(&b, "verdict: %s: %d of %d nodes hold what %d workers published: %d events, %d objects; %d deliveries, lag p50 %v p99 %v",
		word, v.ConvergedNodes, v.Nodes, v.Workers, v.Published, v.Objects, v.Received, round(v.Lag.P50), round(v.Lag.P99))
	if v.Resyncs > 0 {
		fmt.Fprintf(&b, ", %d resyncs", v.Resyncs)
	}
	for _, d := range v.Differences {
		fmt.Fprintf(&b, "\n  %s differs in %d objects", d.Node, d.Count)
		for _, line := range d.First {
			fmt.Fprintf(&b, "\n    %s", line)
		}
		if d.Count > len(d.First) {
			fmt.Fprintf(&b, "\n    and %d more", d.Count-len(d.First))
		}
	}
	return b.String()
}

// round leaves about three digits of a duration.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
