package main

// paced: the system of fanout with one event at a time, so that every subscriber
// is idle when it comes. The schedule does not wait for anybody.
func paced(o *options) scenario {
	s := scenario{name: "paced", rivals: publishers(o), billed: "publisher", run: runFanout}
	for _, p := range o.paced {
		s.sizes = append(s.sizes, size{Subs: p.subs, Gap: p.gap})
	}
	s.targets = []target{
		{"p99", p99, atMost, 1},
		{"publisher CPU per delivery", cpu, atMost, 1},
	}
	return s
}
