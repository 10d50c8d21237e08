package main

// fanout: one publisher that has always something to send, N subscribers.
func fanout(o *options) scenario {
	s := scenario{name: "fanout", rivals: publishers(o), billed: "publisher", run: runFanout}
	for _, n := range o.fanoutSubs {
		s.sizes = append(s.sizes, size{Subs: n})
	}
	s.targets = []target{{"publisher CPU per delivery", cpu, atMost, 1.0 / 5}}
	return s
}

func runFanout(t *trial, size size, rival rival) (figures, error) {
	publisher, err := t.start(job{
		Role: "publisher", Kind: rival.Kind,
		Subscribers: size.Subs,
		Gap:         size.Gap,
		Window:      t.publisherWindow(size, rival),
		IOThreads:   rival.IOThreads,
		HWM:         t.opts.hwm,
		API:         rival.API,
	})
	if err != nil {
		return figures{}, err
	}
	reader, err := t.start(job{
		Role:        "reader",
		Address:     publisher.address,
		Subscribers: size.Subs,
		Workers:     1,
		Gap:         size.Gap,
		Receives:    true,
	})
	if err != nil {
		return figures{}, err
	}
	return t.measure([]*process{publisher}, reader, publisher)
}

// publisherWindow is how far a publisher may be ahead of its slowest subscriber.
// Libzmq waits at its high-water mark and the floor in write; ours never waits for
// a subscriber, so what would be lost is not sent.
func (t *trial) publisherWindow(size size, rival rival) uint64 {
	switch rival.Kind {
	case kindOurs:
		return t.opts.windowFor(size.Subs)
	case kindLibzmq:
		return t.opts.libzmqWindow(size.Subs)
	}
	return 0
}
