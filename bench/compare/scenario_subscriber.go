package main

// subscriber: how fast one subscriber can be. The floor's publisher feeds it,
// because libzmq's would be the slower end. Ours decodes and calls a handler;
// libzmq's, in C, only checks the sequence.
func subscriber(o *options) scenario {
	return scenario{
		name:    "subscriber",
		sizes:   []size{{Subs: 1}},
		rivals:  []rival{oneThread, oursRival},
		billed:  "subscriber",
		targets: []target{{"events per second", perSecond, reaches, 1.5e6}},
		run:     runSubscriber,
	}
}

func runSubscriber(t *trial, size size, rival rival) (figures, error) {
	publisher, err := t.start(job{
		Role: "publisher", Kind: kindFloor,
		Subscribers: size.Subs,
		Stamped:     t.opts.stamped,
	})
	if err != nil {
		return figures{}, err
	}
	subscriber, err := t.start(job{
		Role: "subscriber", Kind: rival.Kind,
		Address:   publisher.address,
		Workers:   1,
		IOThreads: rival.IOThreads,
		HWM:       t.opts.hwm,
		Receives:  true,
	})
	if err != nil {
		return figures{}, err
	}
	return t.measure([]*process{publisher}, subscriber, subscriber)
}
