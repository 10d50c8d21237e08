package main

import (
	"slices"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// latency is the distribution of receive time minus intended send time, in ns.
type latency struct {
	Samples       int
	P50, P99, Max int64
}

// summarize sorts samples. It returns nil when there are none.
func summarize(samples []int64) *latency {
	if len(samples) == 0 {
		return nil
	}
	slices.Sort(samples)
	return &latency{
		Samples: len(samples),
		P50:     percentile(samples, 50),
		P99:     percentile(samples, 99),
		Max:     samples[len(samples)-1],
	}
}

// percentile is the nearest-rank percentile of sorted samples: the smallest one
// that at least p percent of the samples do not exceed.
func percentile[T any](sorted []T, p int) T {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// figures are the results of one run.
type figures struct {
	PerSecond  float64  // deliveries
	CPU        float64  // of the billed process, ns per delivery
	MachineCPU float64  // of the whole machine, ns per delivery
	PeakRSS    int64    // of the billed process up to the end of the window, bytes
	Latency    *latency `json:",omitempty"`
	Lost       uint64
	Disorder   uint64
	Other      uint64         // events that this program did not send, such as sync
	Status     *driver.Status `json:",omitempty"` // of our publisher at the end of the window
}

func newFigures(first, second marks, final snapshot) figures {
	// Rates, not differences: the snapshots were not taken at one instant.
	deliveries := rate(float64(second.receiver.Count-first.receiver.Count), second.receiver.At-first.receiver.At)
	f := figures{
		PerSecond: deliveries * 1e9,
		PeakRSS:   second.billed.PeakRSS,
		Latency:   final.Latency,
		Lost:      final.Lost,
		Disorder:  final.Disorder,
		Other:     final.Other,
		Status:    second.billed.Status,
	}
	if deliveries > 0 {
		f.CPU = rate(float64(second.billed.CPU-first.billed.CPU), second.billed.At-first.billed.At) / deliveries
		f.MachineCPU = rate(float64(second.machine.busy-first.machine.busy), second.machine.at-first.machine.at) / deliveries
	}
	return f
}

func rate(amount float64, ns int64) float64 { return amount / float64(max(ns, 1)) }

// valid says whether every event arrived once and in order.
func (f figures) valid() bool { return f.Lost == 0 && f.Disorder == 0 && f.PerSecond > 0 }

// spread is a median with its extremes.
type spread struct{ Median, Min, Max float64 }

// spreadOf is the spread of one figure of several runs. The median of an even
// number is the mean of the middle two.
func spreadOf(runs []figures, figure func(figures) float64) spread {
	if len(runs) == 0 {
		return spread{}
	}
	var values []float64
	for _, r := range runs {
		values = append(values, figure(r))
	}
	slices.Sort(values)
	last := len(values) - 1
	return spread{
		Median: (values[last/2] + values[(last+1)/2]) / 2,
		Min:    values[0],
		Max:    values[last],
	}
}

func perSecond(f figures) float64  { return f.PerSecond }
func cpu(f figures) float64        { return f.CPU }
func machineCPU(f figures) float64 { return f.MachineCPU }

func rss(f figures) float64 { return float64(f.PeakRSS) }

func p50(f figures) float64 {
	if f.Latency == nil {
		return 0
	}
	return float64(f.Latency.P50)
}

func p99(f figures) float64 {
	if f.Latency == nil {
		return 0
	}
	return float64(f.Latency.P99)
}

// fellBehind is how many times a subscriber fell out of retention, refused how
// many connections were turned away.
func fellBehind(f figures) float64 {
	if f.Status == nil {
		return 0
	}
	return float64(f.Status.Lost)
}

func refused(f figures) float64 {
	if f.Status == nil {
		return 0
	}
	return float64(f.Status.Refused)
}

// harm are the events that did not arrive once and in order, or told somebody to
// resync who had lost nothing.
func harm(f figures) float64 { return float64(f.Lost + f.Disorder + f.Other) }
