//go:build linux

package campaign

import (
	"strings"
	"testing"
	"time"
)

func TestTrials(t *testing.T) {
	for _, tt := range []struct {
		name string
		took []int // ms
		fail bool
		good bool
		text string
	}{
		{"none", nil, false, false, "0 trials; 0 never"},
		{"too few", []int{1}, false, false, "1 trials, min 1ms, median 1ms, 99 % 1ms, max 1ms; 0 over 3s"},
		{"all", []int{30, 20, 10}, false, true, "3 trials, min 10ms, median 20ms, 99 % 20ms, max 30ms; 0 over 3s"},
		{"just in time", []int{10, 20, 3000}, false, true, "max 3s; 0 over 3s"},
		{"one late", []int{10, 20, 3001}, false, false, "max 3.001s; 1 over 3s"},
		{"one never", []int{10, 20, 30}, true, false, "1 never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &Trials{What: "x", Most: 3 * time.Second, AtLeast: 2}
			for _, ms := range tt.took {
				tr.add(time.Duration(ms) * time.Millisecond)
			}
			if tt.fail {
				tr.fail("listener %d", 1)
			}
			if tr.Good() != tt.good {
				t.Errorf("good: %t", tr.Good())
			}
			var b strings.Builder
			tr.Print(&b)
			if !strings.Contains(b.String(), tt.text) {
				t.Errorf("printed %q, want %q", b.String(), tt.text)
			}
		})
	}
}
