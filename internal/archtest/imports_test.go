package archtest

import (
	"fmt"
	"testing"
)

func TestImportsFollowTheTable(t *testing.T) {
	report(t, checkImports(readTree(t)))
}

func TestNoCgo(t *testing.T) {
	report(t, checkCgo(readTree(t)))
}

// Every rule of the table is broken once here, and must be noticed.
func TestPlantedImportsAreFound(t *testing.T) {
	cases := []struct {
		name, path, src string
		want            int
	}{
		{"driver imports the core", "driver/x.go", `import _ "m"`, 1},
		{"driver imports a stranger", "driver/x.go", `import _ "example.org/x"`, 1},
		{"core imports a driver", "x.go", `import _ "m/drivers/mem"`, 1},
		{"core imports what it may", "x.go", `import (_ "m/driver"; _ "m/internal/envelope"; _ "m/internal/backoff")`, 0},
		{"suite imports internals", "drivertest/x.go", `import _ "m/internal/envelope"`, 1},
		{"driver imports another driver", "drivers/zmq/x.go", `import _ "m/drivers/mem"`, 1},
		{"driver imports the core", "drivers/mem/x.go", `import _ "m"`, 1},
		{"driver imports what it may", "drivers/zmq/x.go", `import (_ "m/driver"; _ "m/internal/zmtp"; _ "golang.org/x/sys/unix")`, 0},
		{"driver without clients imports one", "drivers/mem/x.go", `import _ "golang.org/x/sys/unix"`, 1},
		{"all imports drivers", "drivers/all/x.go", `import (_ "m/drivers/mem"; _ "m/drivers/zmq")`, 0},
		{"all imports more", "drivers/all/x.go", `import _ "m/service"`, 1},
		{"config imports the core", "config/x.go", `import (_ "m"; _ "m/driver"; _ "github.com/google/uuid")`, 1},
		{"service imports a driver", "service/x.go", `import (_ "m"; _ "m/driver"; _ "m/drivers/zmq")`, 1},
		{"service imports internals", "service/x.go", `import _ "m/internal/fanlog"`, 1},
		{"service imports cobra", "service/x.go", `import _ "github.com/spf13/cobra"`, 1},
		{"command imports verbs and drivers", "cmd/wyvern/x.go", `import (_ "m/cli"; _ "m/drivers/all")`, 0},
		{"command imports more", "cmd/wyvern/x.go", `import _ "m/service"`, 1},
		{"verbs import what they may", "cli/x.go", `import (_ "m"; _ "m/service"; _ "m/internal/workload"; _ "github.com/spf13/cobra")`, 0},
		{"verbs import their part", "cli/x.go", `import _ "m/cli/demo"`, 0},
		{"verbs import a driver", "cli/x.go", `import _ "m/drivers/zmq"`, 1},
		{"part of the verbs imports cobra", "cli/demo/x.go", `import _ "github.com/spf13/cobra"`, 1},
		{"service imports a part of the verbs", "service/x.go", `import _ "m/cli/demo"`, 1},
		{"test imports a program", "e2e/x_test.go", `import _ "m/cmd/wyvern"`, 1},
		{"verbs import bench", "cli/x.go", `import _ "m/bench/compare"`, 1},
		{"verbs import a stranger", "cli/x.go", `import _ "github.com/spf13/viper"`, 1},
		{"log imports the loop", "internal/fanlog/x.go", `import _ "m/internal/eventloop"`, 0},
		{"log imports the codec", "internal/fanlog/x.go", `import _ "m/internal/zmtp"`, 1},
		{"loop imports the log", "internal/eventloop/x.go", `import _ "m/internal/fanlog"`, 1},
		{"zmtp is no leaf", "internal/zmtp/x.go", `import _ "m/driver"`, 1},
		{"envelope is no leaf", "internal/envelope/x.go", `import _ "github.com/vmihailenco/msgpack/v5"`, 1},
		{"lograte is no leaf", "internal/lograte/x.go", `import _ "m/driver"`, 1},
		{"backoff is no leaf", "internal/backoff/x.go", `import _ "m/driver"`, 1},
		{"workload is no leaf", "internal/workload/x.go", `import _ "m"`, 1},
		{"archtest is no leaf", "internal/archtest/x.go", `import _ "m"`, 1},
		{"archtest is imported", "e2e/x.go", `import _ "m/internal/archtest"`, 1},
		{"e2e imports a stranger", "e2e/x.go", `import (_ "m/service"; _ "example.org/x")`, 1},
		{"validator imports the core", "chaos/validator/x.go", `import _ "m"`, 1},
		{"validator imports internals", "chaos/validator/x.go", `import _ "m/internal/envelope"`, 1},
		{"validator imports a stranger", "chaos/validator/x.go", `import _ "golang.org/x/sys/unix"`, 1},
		{"proxy imports the codec", "chaos/proxy/x.go", `import _ "m/internal/zmtp"`, 1},
		{"actor imports internals", "chaos/actor/x.go", `import (_ "m"; _ "m/internal/fanlog")`, 1},
		{"campaign imports its parts", "chaos/campaign/x.go", `import (_ "m"; _ "m/chaos/proxy"; _ "m/chaos/validator")`, 0},
		{"campaign imports the service", "chaos/campaign/x.go", `import _ "m/service"`, 1},
		{"test imports a program of campaigns", "e2e/x_test.go", `import _ "m/chaos/cmd/chaos"`, 1},
		{"example imports internals", "examples/hello/x.go", `import (_ "m"; _ "m/internal/backoff")`, 1},
		{"no rule for a package", "internal/util/x.go", ``, 1},
		{"test imports more of ours", "driver/x_test.go", `import (_ "m"; _ "m/drivers/mem"; _ "m/drivertest")`, 0},
		{"test imports bench", "driver/x_test.go", `import _ "m/bench/compare"`, 1},
		{"test imports a library", "driver/x_test.go", `import _ "github.com/stretchr/testify/assert"`, 1},
		{"standard library", "driver/x.go", `import (_ "net/http"; _ "C")`, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := checkImports(plant(t, c.path, c.src))
			if len(got) != c.want {
				t.Errorf("%d complaints, want %d: %q", len(got), c.want, got)
			}
		})
	}
}

func TestPlantedCgoIsFound(t *testing.T) {
	for _, name := range []string{"driver/x.go", "driver/x_test.go"} {
		if got := checkCgo(plant(t, name, `import "C"`)); len(got) != 1 {
			t.Errorf("%s: complaints %q, want one", name, got)
		}
	}
	if got := checkCgo(plant(t, "driver/x.go", `import "context"`)); len(got) != 0 {
		t.Errorf("complaints %q about no cgo", got)
	}
}

// checkImports complains of every import that the table does not allow. Tests
// may import any of our packages, but no more of others than their package.
func checkImports(t *tree) []string {
	var bad []string
	for _, p := range t.packages {
		if !p.own {
			continue
		}
		r := ruleFor(p.dir)
		if r == nil {
			bad = append(bad, fmt.Sprintf("%s: no rule says what this package may import; add one, with its reason, to rules_test.go", p.dir))
			continue
		}
		for _, f := range p.files {
			for _, i := range t.importsOf(f) {
				if complaint := judge(r, f, i); complaint != "" {
					bad = append(bad, f.at(i.spec)+": "+complaint)
				}
			}
		}
	}
	return bad
}

// judge returns why an import is not allowed, or "".
func judge(r *rule, f *file, i imported) string {
	if i.third != "" {
		if !below(r.third, i.third) {
			return fmt.Sprintf("imports %s, but %s may import of others %s: %s", i.third, r.pkg, list(r.third), r.why)
		}
		return ""
	}
	for pattern, why := range unimportable {
		if matches(pattern, i.ours) {
			return fmt.Sprintf("imports %s: %s", i.ours, why)
		}
	}
	if f.test {
		return ""
	}
	for _, pattern := range r.ours {
		if matches(pattern, i.ours) {
			return ""
		}
	}
	return fmt.Sprintf("imports %s, but %s may import of ours %s: %s", i.ours, r.pkg, list(r.ours), r.why)
}

func checkCgo(t *tree) []string {
	var bad []string
	for _, p := range t.packages {
		if !p.own {
			continue
		}
		for _, f := range p.files {
			for _, spec := range f.ast.Imports {
				if spec.Path.Value == `"C"` {
					bad = append(bad, f.at(spec)+": uses cgo: the binary is static and cross-compiles, and a test that needs C would not run everywhere")
				}
			}
		}
	}
	return bad
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return fmt.Sprint(names)
}
