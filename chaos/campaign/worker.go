//go:build linux

package campaign

import (
	"encoding/json"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// worker is a worker process and the proxy in front of it.
type worker struct {
	part
	sys     *system
	index   int
	service *service
	proxy   *proxy.Proxy // or nil
	python  bool
}

func (s *system) newWorker(i int) (*worker, error) {
	shape := s.shape.Workers[i]
	w := &worker{part: part{name: s.name("w", i)}, sys: s, index: i, service: s.services[shape.Service], python: shape.Python && s.programs.Python != ""}
	if shape.Proxied {
		var err error
		w.proxy, err = proxy.Listen(proxy.Endpoint{Network: "unix", Address: w.service.socket + "-" + w.name},
			proxy.Endpoint{Network: "unix", Address: w.service.socket}, proxy.Options{})
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *worker) start() error {
	name := w.next()
	cfg := actor.WorkerConfig{
		Name: name, Publisher: w.service.id, Socket: w.service.socket,
		Topics: w.sys.shape.topics(w.index), Even: w.sys.shape.Even, Rate: w.sys.shape.Rate, Size: w.sys.shape.Size,
		Seed: w.sys.seed + uint64(w.index)<<32 + uint64(w.count),
	}
	if w.proxy != nil {
		cfg.Socket = w.proxy.Addr().String()
	}
	arg, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	program, args := w.sys.programs.Self, []string{"worker", string(arg)}
	if w.python {
		program, args = w.sys.programs.Python, []string{w.sys.script, string(arg)}
	}
	p, err := w.sys.spawn(name, w.name, program, args...)
	if err != nil {
		return err
	}
	w.set(p)
	return nil
}

// kill kills the process and notes when that was.
func (w *worker) kill() bool {
	p := w.present()
	at := actor.Now()
	ok := p.kill()
	w.sys.journal.add(validator.Record{Kind: validator.KindKilled, At: int64(at), Worker: p.name})
	return ok
}

func (w *worker) close() {
	w.part.close()
	if w.proxy != nil {
		w.proxy.Close()
	}
}
