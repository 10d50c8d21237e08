//go:build plant

package plant

import (
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Enabled says whether bugs can be planted.
const Enabled = true

var planted atomic.Pointer[Bug]

func init() { Set(Bug(os.Getenv("WYVERN_PLANT"))) }

// On says whether a bug is planted.
func On(b Bug) bool { return *planted.Load() == b }

// Set plants a bug, or none.
func Set(b Bug) { planted.Store(&b) }

// Since is time.Since; with WallClock by a clock that people set: by writing how far
// off it is, as in "-1h", to the file that WYVERN_PLANT_CLOCK names. The machine's own
// is left alone.
func Since(t time.Time) time.Duration {
	if !On(WallClock) {
		return time.Since(t)
	}
	now := time.Now().Round(0)
	if text, err := os.ReadFile(os.Getenv("WYVERN_PLANT_CLOCK")); err == nil {
		if off, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
			now = now.Add(off)
		}
	}
	return now.Sub(t.Round(0))
}
