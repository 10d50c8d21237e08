//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Of a hundred services that start at once over the socket of one that was
// killed, one wins; the others end, and name it. When it is killed as well, the
// next takes over.
func TestC5HundredStarters(t *testing.T) {
	t.Parallel()
	const starters = 100
	site := newSite(t)
	site.serveWith(t, plain).kill(t)
	procs := make([]*process, starters)
	for i := range procs {
		procs[i] = start(t, nil, plain, "serve", "--config-file", site.file)
	}
	var mu sync.Mutex
	var won []*process
	var refused []string
	var wg sync.WaitGroup
	for _, p := range procs {
		wg.Go(func() {
			for {
				_, found, ended, changed := p.stderr.find(0, "wyvern: ready: ")
				if found || ended {
					mu.Lock()
					defer mu.Unlock()
					if found {
						won = append(won, p)
						return
					}
					line, found, _, _ := p.stderr.find(0, "is in use by")
					if !found {
						line = "it ended otherwise:\n" + p.stderr.String()
					}
					refused = append(refused, line)
					return
				}
				<-changed
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d services are ready; the others: %.2000q", len(won), starters, refused)
	}
	name := fmt.Sprintf("is in use by publisher e2e (process %d on ", won[0].pid())
	for _, line := range refused {
		if !strings.Contains(line, name) {
			t.Fatalf("a service was refused with %q, not with %q", line, name)
		}
	}
	for _, p := range procs {
		if p != won[0] {
			if status := p.wait(t); status == 0 {
				t.Error("a service that was refused ended with status 0")
			}
		}
	}
	won[0].kill(t)
	svc := site.serveWith(t, plain)
	node := startSubscriber(t, "ours", svc.uri, "D")
	startWorker(t, "w", site.socket).send(t, "D", 1)
	node.awaitKey(t, "w-0")
	svc.drain(t)
}
