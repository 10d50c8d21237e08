package cli

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/cli/demo"
	"github.com/wyvern-pubsub/wyvern/service"
)

// reportInterval is how often a supervised service reports.
const reportInterval = 500 * time.Millisecond

// supervisor is the link of a service to the parent process that started it.
type supervisor struct {
	out   *json.Encoder
	close chan struct{}
	wait  sync.WaitGroup
}

// supervise has the service stopped when in ends, as it does with the parent:
// the read can't be stopped, and ends with the process.
func supervise(in io.Reader, out io.Writer, orphaned func()) *supervisor {
	go func() {
		io.Copy(io.Discard, in)
		orphaned()
	}()
	return &supervisor{out: json.NewEncoder(out), close: make(chan struct{})}
}

// ready reports once that the service is ready, and then what it counts. A
// parent that does not listen has ended, which in tells too.
func (s *supervisor) ready(i service.Info) {
	send := func(kind string) {
		status := i.Status()
		s.out.Encode(demo.Message{
			Kind:    kind,
			Network: networkURI(i.Network),
			Stats:   demo.Stats{Events: status.IPC.Messages, Peers: status.Network.Peers},
		})
	}
	send(demo.KindReady)
	s.wait.Go(func() {
		ticker := time.NewTicker(reportInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				send(demo.KindStats)
			case <-s.close:
				send(demo.KindStats)
				return
			}
		}
	})
}

func (s *supervisor) stop() {
	close(s.close)
	s.wait.Wait()
}
