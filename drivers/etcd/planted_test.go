//go:build plant

package etcd_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// planted are bugs of etcd drivers, each with the test that has to show it and
// what that says then. Events are numbered before they are sent, so the core notices
// what a driver loses, and of that there is a resync where the driver could have
// resumed. That it loses the first events of a topic only the driver can tell.
var planted = []struct {
	bug  plant.Bug
	test string
	says string
}{
	{plant.WatchFromNow, "TestN8Faults/Cut", needless},
	{plant.LatestOnly, "TestN8Faults/Cut", needless},
	{plant.ProgressOvertakes, "TestN8Faults/Cut", needless},
	{plant.CompactedUntold, "TestN8CompactedMeanwhile/all=false", fmt.Sprint("want \"\" on \"T\", notice ", driver.Behind)},
}

// runs is how often a test is run to find a bug: a fault strikes at a moment of its
// own, and where something has to be on its way just then, one may miss.
const runs = 5

// needless is what the suite says of a resync that a fault did not call for.
const needless = "though nothing was lost for good"

// TestPlanted puts one known bug after the other into the driver, and the suite
// of faults has to find it; without any it finds nothing.
func TestPlanted(t *testing.T) {
	found := make(map[plant.Bug]bool)
	clean := make(map[string]bool)
	for _, p := range planted {
		found[p.bug] = true
		t.Run(string(p.bug), func(t *testing.T) {
			for try := 1; ; try++ {
				out := suite(p.test, p.bug)
				if strings.Contains(out, p.says) {
					t.Logf("found by run %d of %s", try, p.test)
					return
				}
				if try == runs {
					t.Fatalf("%s was not found by %d runs of %s; want %q in\n%s", p.bug, runs, p.test, p.says, out)
				}
			}
		})
		if clean[p.test] {
			continue
		}
		clean[p.test] = true
		t.Run("none/"+p.test, func(t *testing.T) {
			if out := suite(p.test, plant.None); out != "" {
				t.Errorf("something was found: %s", out)
			}
		})
	}
	for _, bug := range plant.OnBrokers {
		if !found[bug] {
			t.Errorf("nobody looks for %s", bug)
		}
	}
}

// suite runs one case of a test, in a process with a bug, and returns what it
// printed if it failed.
func suite(subtest string, bug plant.Bug) string {
	test, name, _ := strings.Cut(subtest, "/")
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", fmt.Sprintf("^%s$/^%s$", test, name))
	cmd.Env = append(os.Environ(), "WYVERN_PLANT="+string(bug))
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "--- PASS: "+subtest):
		return ""
	case err == nil:
		return "it did not run\n" + string(out)
	}
	return string(out)
}
