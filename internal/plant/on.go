//go:build plant

package plant

import (
	"os"
	"sync/atomic"
)

// Enabled says whether bugs can be planted.
const Enabled = true

var planted atomic.Pointer[Bug]

func init() { Set(Bug(os.Getenv("WYVERN_PLANT"))) }

// On says whether a bug is planted.
func On(b Bug) bool { return *planted.Load() == b }

// Set plants a bug, or none.
func Set(b Bug) { planted.Store(&b) }
