package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// row is a line of the table.
type row struct {
	name   string
	pid    int
	events uint64
	rate   float64 // events per second
	lag    Quantiles
	note   string
}

// screen shows the progress.
type screen struct {
	out   io.Writer
	size  func() (width, height int, err error) // nil: not a terminal
	lines int                                   // that the table has on the terminal now
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.size = func() (int, int, error) { return term.GetSize(int(f.Fd())) }
	}
	return s
}

// interval is how often to show.
func (s *screen) interval() time.Duration {
	if s.size != nil {
		return 500 * time.Millisecond
	}
	return time.Second
}

// say prints a line that stays.
func (s *screen) say(format string, args ...any) {
	s.lines = 0 // the table above stays too
	fmt.Fprintf(s.out, "demo: "+format+"\n", args...)
}

// show prints the table, on a terminal in place of the one before, or one line
// without one. The last table on a terminal is below all lines.
func (s *screen) show(rows []row, state string, last bool) {
	if s.size == nil {
		if !last {
			fmt.Fprintln(s.out, line(rows, state))
		}
		return
	}
	width, height, err := s.size()
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := table(rows, state)
	if fits := max(height-2, 3); len(lines) > fits {
		hidden := len(lines) - fits + 1
		lines = append(lines[:fits-1], fmt.Sprintf("and %d more", hidden))
	}
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.lines)
	}
	for _, l := range lines {
		b.WriteString(l[:min(len(l), width-1)])
		b.WriteByte('\n')
	}
	io.WriteString(s.out, b.String())
	s.lines = len(lines)
}

// The names of the rows that sum up; see rows.
const (
	allWorkers = "all workers"
	allNodes   = "all nodes"
)

// line is the progress in one line, of the rows that sum up.
func line(rows []row, state string) string {
	text := "demo: " + state
	for _, r := range rows {
		switch r.name {
		case allWorkers:
			text += fmt.Sprintf("; published %d, %.0f/s", r.events, r.rate)
		case allNodes:
			text += fmt.Sprintf("; delivered %d, %.0f/s, lag p50 %v p99 %v", r.events, r.rate, round(r.lag.P50), round(r.lag.P99))
		default:
			continue
		}
		if r.note != "" {
			text += ", " + r.note
		}
	}
	return text
}

func table(rows []row, state string) []string {
	lines := []string{
		"wyvern demo: " + state,
		fmt.Sprintf("%-12s %8s %10s %9s %9s %9s  %s", "PROCESS", "PID", "EVENTS", "PER SEC", "LAG P50", "LAG P99", "NOTE"),
	}
	for _, r := range rows {
		pid, p50, p99 := "", "", ""
		if r.pid > 0 {
			pid = fmt.Sprint(r.pid)
		}
		if r.lag.Max > 0 {
			p50, p99 = round(r.lag.P50).String(), round(r.lag.P99).String()
		}
		lines = append(lines, strings.TrimRight(
			fmt.Sprintf("%-12s %8s %10d %9.0f %9s %9s  %s", r.name, pid, r.events, r.rate, p50, p99, r.note), " "))
	}
	return lines
}

// rows are the processes and two sums. The lag of all nodes is that of the
// slowest.
func (d *demo) rows() []row {
	var rows []row
	sum := row{name: allWorkers}
	var late time.Duration
	for _, w := range d.workers {
		s, rate := w.latest()
		r := row{name: w.name, pid: w.pid(), events: s.Events, rate: rate}
		if s.Late > 100*time.Millisecond {
			r.note = "behind by " + round(s.Late).String()
		}
		late = max(late, s.Late)
		sum.events += s.Events
		sum.rate += rate
		rows = append(rows, r)
	}
	if late > 100*time.Millisecond {
		sum.note = "behind by " + round(late).String()
	}
	rows = append(rows, sum)
	s, rate := d.service.latest()
	rows = append(rows, row{
		name: d.service.name, pid: d.service.pid(), events: s.Events, rate: rate,
		note: fmt.Sprintf("%d nodes connected", s.Peers),
	})
	all, resyncs := row{name: allNodes}, uint64(0)
	for i, n := range d.nodes {
		s, rate := n.latest()
		r := row{name: n.name, pid: n.pid(), events: s.Events, rate: rate, lag: s.Lag}
		if s.Total != nil { // the end
			r.lag = s.Total.quantiles()
		}
		r.note = fmt.Sprintf("%d objects of %d topics", s.Objects, len(d.topics[i]))
		if s.Stale > 0 {
			r.note += fmt.Sprintf(", %d overtaken", s.Stale)
		}
		if s.Resyncs > 0 {
			r.note += fmt.Sprintf(", %d resyncs", s.Resyncs)
		}
		all.events += s.Events
		all.rate += rate
		resyncs += s.Resyncs
		all.lag.P50 = max(all.lag.P50, r.lag.P50)
		all.lag.P99 = max(all.lag.P99, r.lag.P99)
		all.lag.Max = max(all.lag.Max, r.lag.Max)
		rows = append(rows, r)
	}
	if resyncs > 0 {
		all.note = fmt.Sprintf("%d resyncs", resyncs)
	}
	return append(rows, all)
}
