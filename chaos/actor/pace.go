//go:build linux

package actor

import (
	"context"
	"sync"
	"time"
)

// pace is how long a handler takes for each event. A change is felt by the call
// that is waiting.
type pace struct {
	mu      sync.Mutex
	each    time.Duration
	changed chan struct{}
}

func (p *pace) set(each time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = each
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait takes the time of one event, and says whether that was any.
func (p *pace) wait(ctx context.Context) bool {
	p.mu.Lock()
	each, changed := p.each, p.changed
	p.mu.Unlock()
	if each <= 0 {
		return false
	}
	t := time.NewTimer(each)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
	return true
}
