package main

import (
	"os"
	"testing"
)

// The trials of the tests start this test binary, as those of compare start
// compare.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == roleArgument {
		os.Exit(runRole())
	}
	os.Exit(m.Run())
}
