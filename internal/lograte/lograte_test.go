package lograte

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A burst passes, the rest is counted, and the next line that passes says how
// many there were.
func TestAllow(t *testing.T) {
	l := Limiter{Burst: 2, Every: time.Second}
	t0 := time.Unix(1000, 0)
	steps := []struct {
		at         time.Duration
		ok         bool
		suppressed uint64
	}{
		{0, true, 0},
		{1, true, 0},
		{2, false, 0},
		{999 * time.Millisecond, false, 0},
		{time.Second, true, 2},
		{time.Second + 1, true, 0},
		{time.Second + 2, false, 0},
		{5 * time.Second, true, 1},
	}
	for i, s := range steps {
		suppressed, ok := l.Allow(t0.Add(s.at))
		if ok != s.ok || suppressed != s.suppressed {
			t.Errorf("step %d: got %d, %v, want %d, %v", i, suppressed, ok, s.suppressed, s.ok)
		}
	}
}

func TestWarn(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	l := Limiter{Burst: 1, Every: time.Hour}
	for range 3 {
		l.Warn(log, "bad peer", "peer", "x")
	}
	l.began = l.began.Add(-2 * time.Hour)
	l.Warn(log, "bad peer", "peer", "y")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2: %q", len(lines), lines)
	}
	if strings.Contains(lines[0], "suppressed") || !strings.Contains(lines[1], "peer=y suppressed=2") {
		t.Errorf("got %q", lines)
	}
}
