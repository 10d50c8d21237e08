//go:build linux

package e2e

import (
	"bytes"
	"os"
	"testing"
)

// The program has no switch for planted bugs: nobody can have one by an environment
// variable, and what they would cost is not there.
func TestNoBugCanBePlanted(t *testing.T) {
	program, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"WYVERN_PLANT", "internal/plant.On", "resume-other-server", "beacons are for drivers"} {
		if bytes.Contains(program, []byte(text)) {
			t.Errorf("the program has %q in it", text)
		}
	}
}
