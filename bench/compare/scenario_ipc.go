package main

// ipc: N worker processes -> unix socket -> one receiver that checks and drops.
// Both ends are the rival's. The workers wait when the receiver doesn't keep up.
func ipc(o *options) scenario {
	s := scenario{name: "ipc", rivals: []rival{oneThread, oursRival}, billed: "receiver", run: runIPC}
	for _, n := range o.ipcWorkers {
		s.sizes = append(s.sizes, size{Workers: n})
	}
	s.targets = []target{{"events per second", perSecond, atLeast, 2}}
	return s
}

func runIPC(t *trial, size size, rival rival) (figures, error) {
	puller, err := t.start(job{
		Role: "puller", Kind: rival.Kind,
		Path:      t.path(),
		Workers:   size.Workers,
		IOThreads: rival.IOThreads,
		HWM:       t.opts.hwm,
		Receives:  true,
	})
	if err != nil {
		return figures{}, err
	}
	workers, err := t.startPushers(size.Workers, job{Kind: rival.Kind})
	if err != nil {
		return figures{}, err
	}
	return t.measure(workers, puller, puller)
}
