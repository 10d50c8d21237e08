package main

// chain: worker processes -> ipc -> service -> tcp -> subscribers. The workers
// are the same for both rivals, and so is the window that holds them back.
func chain(o *options) scenario {
	return scenario{
		name:    "chain",
		sizes:   []size{{Workers: o.chainWorkers, Subs: o.chainSubs}},
		rivals:  []rival{oneThread, twoThreads, oursRival},
		billed:  "service",
		targets: []target{{"service CPU per delivery", cpu, atMost, 1.0 / 4}},
		run:     runChain,
	}
}

func runChain(t *trial, size size, rival rival) (figures, error) {
	service, err := t.start(job{
		Role: "service", Kind: rival.Kind,
		Path:      t.path(),
		IOThreads: rival.IOThreads,
		HWM:       t.opts.hwm,
	})
	if err != nil {
		return figures{}, err
	}
	workers, err := t.startPushers(size.Workers, job{
		Kind:   t.opts.chainKind,
		Window: t.opts.windowFor(size.Subs) / uint64(size.Workers),
	})
	if err != nil {
		return figures{}, err
	}
	reader, err := t.start(job{
		Role:        "reader",
		Address:     service.address,
		Subscribers: size.Subs,
		Workers:     size.Workers,
		Receives:    true,
	})
	if err != nil {
		return figures{}, err
	}
	return t.measure(workers, reader, service)
}

// startPushers starts n workers that push to the trial's path.
func (t *trial) startPushers(n int, j job) ([]*process, error) {
	var workers []*process
	for w := range n {
		j.Role, j.Path, j.Worker, j.HWM = "pusher", t.path(), w, t.opts.hwm
		worker, err := t.start(j)
		if err != nil {
			return nil, err
		}
		workers = append(workers, worker)
	}
	return workers, nil
}
