//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// The demo ends with a verdict, and with exit status 0 because every node has
// converged (contract: 6).
func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, nil, plain, "demo", "--duration", "3s")
	p.stdin.Close()
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	verdict := p.stdout.await(t, "verdict: ")
	if !strings.Contains(verdict, "verdict: converged: 10 of 10 nodes") {
		t.Errorf("got %q", verdict)
	}
}
