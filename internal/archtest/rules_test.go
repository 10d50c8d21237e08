package archtest

import "strings"

// rule says what a package may import besides the standard library.
//
// Names are directories of the repository; "." is package wyvern. A name that
// ends in "/*" stands for every directory right below it, "..." for all.
type rule struct {
	pkg   string   // the first rule that matches a package counts
	ours  []string // packages of this repository
	third []string // modules or packages of others, with everything below them
	why   string
}

// sys is the one low-level dependency: system calls that the standard library
// lacks (epoll, kqueue, sendmsg, flock, peer credentials).
const sys = "golang.org/x/sys"

var rules = []rule{
	{
		pkg: "driver",
		why: "the plug-in boundary: whoever writes a driver must need nothing of ours but this",
	},
	{
		pkg:  ".",
		ours: []string{"driver", "internal/envelope", "internal/tracker", "internal/numbering", "internal/plant", "internal/backoff", "internal/lograte"},
		why:  "the core works with every driver because it knows none, and whoever imports it gets no dependency",
	},
	{
		pkg:  "drivertest",
		ours: []string{".", "driver", "chaos/validator"},
		why:  "authors of drivers outside of this repository run it: it sees what they see",
	},
	{
		pkg:  "drivers/all",
		ours: []string{"drivers/*", "drivers/nats/embedded"},
		why:  "it links every driver into a program and does nothing else",
	},
	{
		pkg:   "drivers/zmq",
		ours:  []string{"driver", "internal/*"},
		third: []string{sys},
		why:   "a driver moves payloads below the core: it knows neither the core nor another driver, and only its own client library",
	},
	{
		pkg:   "drivers/etcd",
		ours:  []string{"driver", "internal/*"},
		third: []string{"go.etcd.io/etcd/client/v3", "go.etcd.io/etcd/api/v3", "google.golang.org/grpc", "go.uber.org/zap"},
		why:   "like drivers/zmq; the official client, the messages and the transport below it, for many watches on one stream, and the logger that it has to be given",
	},
	{
		pkg: "internal/testserver/authority",
		why: "a leaf: certificates for tests of any driver",
	},
	{
		pkg: "internal/testserver/dragonflow",
		why: "a leaf: what Dragonflow writes, for tests of any driver",
	},
	{
		pkg: "internal/testserver/freeport",
		why: "a leaf: ports for the servers of any test",
	},
	{
		pkg:   "internal/testserver/etcdserver",
		ours:  []string{"internal/testserver/freeport"},
		third: []string{"go.etcd.io/etcd", "go.uber.org/zap"},
		why:   "tests run the real server: the product must not link it",
	},
	{
		pkg:   "internal/testserver/natsserver",
		third: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/jwt/v2", "github.com/nats-io/nkeys"},
		why:   "tests run the real server, as operators configure it",
	},
	{
		pkg:   "drivers/nats",
		ours:  []string{"driver", "internal/*"},
		third: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nkeys"},
		why:   "a driver moves payloads below the core: it knows neither the core nor another driver, and only its own client library; not the server, which is ten times as large",
	},
	{
		pkg:   "drivers/nats/embedded",
		ours:  []string{"driver", "internal/*", "drivers/nats"},
		third: []string{"github.com/nats-io/nats-server/v2"},
		why:   "the driver nats with the server in the process: the one driver that builds on another",
	},
	{
		pkg:   "drivers/redis",
		ours:  []string{"driver", "internal/*"},
		third: []string{"github.com/redis/go-redis/v9"},
		why:   "a driver moves payloads below the core: it knows neither the core nor another driver, and only its own client library",
	},
	{
		pkg:   "internal/testserver/redisserver",
		ours:  []string{"internal/testserver/freeport"},
		third: []string{"github.com/redis/go-redis/v9"},
		why:   "tests run the real server, and ask it with the client that is there anyway",
	},
	{
		pkg:  "drivers/*",
		ours: []string{"driver", "internal/*"},
		why:  "a driver moves payloads below the core: it knows neither the core nor another driver, and only its own client library (give it a rule of its own)",
	},
	{
		pkg:   "config",
		ours:  []string{"driver"},
		third: []string{"github.com/google/uuid"},
		why:   "options are plain data that any program can read: what they configure must not come along",
	},
	{
		pkg:   "service",
		ours:  []string{".", "driver", "internal/plant"},
		third: []string{sys},
		why:   "the publisher service is a library on the public API: what it needs and can't reach there, users can't reach either",
	},
	{
		pkg:  "cmd/wyvern",
		ours: []string{"cli", "drivers/all"},
		why:  "the program puts verbs and drivers together, as anybody can with other drivers",
	},
	{
		pkg:   "cli",
		ours:  []string{".", "driver", "config", "service", "internal/*", "cli/*"},
		third: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/coreos/go-systemd/v22", sys, "golang.org/x/term"},
		why:   "the verbs work with whatever drivers the program links, and link none; libraries for terminals, flags and service managers stay here",
	},
	{
		pkg:   "cli/*",
		ours:  []string{".", "driver", "config", "service", "internal/*"},
		third: []string{sys, "golang.org/x/term"},
		why:   "what a verb does when that is more than a few lines: like the verbs, but it does not know of their command line",
	},
	{
		pkg:   "internal/fanlog",
		ours:  []string{"internal/eventloop", "internal/plant"},
		third: []string{sys},
		why:   "the shared log knows cursors and sockets, not what the bytes mean",
	},
	{
		pkg:   "internal/eventloop",
		third: []string{sys},
		why:   "a leaf: it knows descriptors only",
	},
	{
		pkg: "internal/zmtp",
		why: "a leaf: a protocol codec is pure code, without I/O, clocks or dependencies",
	},
	{
		pkg: "internal/envelope",
		why: "a leaf: a codec is pure code, without dependencies",
	},
	{
		pkg:  "internal/tracker",
		ours: []string{"internal/plant"},
		why:  "a state machine that a simulation drives, without I/O, a clock or dependencies",
	},
	{
		pkg:  "internal/numbering",
		ours: []string{"internal/plant"},
		why:  "a state machine that a simulation drives, without I/O, a clock or dependencies",
	},
	{
		pkg:  "internal/sim",
		ours: []string{"internal/tracker", "internal/numbering", "internal/plant"},
		why:  "it simulates the pure state machines, and nothing that has a clock of its own",
	},
	{
		pkg:  "internal/params",
		ours: []string{"driver"},
		why:  "every driver with a broker declares and reads its options by it",
	},
	{
		pkg:  "internal/inbox",
		ours: []string{"driver"},
		why:  "a queue of messages for any driver: it knows no mechanism",
	},
	{
		pkg: "internal/plant",
		why: "a leaf: a constant, unless bugs are planted",
	},
	{
		pkg: "internal/backoff",
		why: "a leaf: it computes delays",
	},
	{
		pkg: "internal/lograte",
		why: "a leaf: it decides how often a line is logged",
	},
	{
		pkg: "internal/workload",
		why: "a leaf: sample data must not decide what it is sent through",
	},
	{
		pkg: "internal/archtest",
		why: "a leaf: it reads sources, so that it works when nothing else compiles",
	},
	{
		pkg:   "e2e",
		ours:  []string{"..."},
		third: []string{sys},
		why:   "end-to-end tests drive real processes",
	},
	{
		pkg: "chaos/validator",
		why: "whoever judges the product must not share an error with it: it knows nothing but the log",
	},
	{
		pkg: "chaos/proxy",
		why: "it breaks connections of anybody, and reads the wire with eyes of its own",
	},
	{
		pkg:   "chaos/actor",
		ours:  []string{".", "driver", "drivers/all", "chaos/validator"},
		third: []string{sys},
		why:   "workers and nodes as users would write them, on the public API, that log what they see",
	},
	{
		pkg:   "chaos/campaign",
		ours:  []string{".", "driver", "drivers/all", "chaos/*", "internal/plant"},
		third: []string{sys},
		why:   "campaigns drive real processes, and see of the product what users see, but for the names of planted bugs",
	},
	{
		pkg:   "chaos/cmd/*",
		ours:  []string{"chaos/*"},
		third: []string{sys},
		why:   "the program that runs campaigns, and the parts of them",
	},
	{
		pkg:  "examples/*",
		ours: []string{".", "driver", "config", "drivers/*", "service"},
		why:  "an example shows what users can do, so it has public packages only",
	},
}

// unimportable must not be imported by anybody, by tests neither.
var unimportable = map[string]string{
	"bench/...":         "bench compares with rivals through cgo: it depends on the product and never the other way round",
	"cmd/*":             "the compiler lets nobody import a program",
	"chaos/cmd/*":       "the compiler lets nobody import a program",
	"e2e/...":           "end-to-end tests sit on top of everything",
	"examples/...":      "examples are read, not used",
	"tools/...":         "tools are a module of their own, so that they stay out of the product's go.sum",
	"internal/archtest": "it has tests only",
}

// ruleFor returns the first rule for a package, or nil.
func ruleFor(dir string) *rule {
	for i := range rules {
		if matches(rules[i].pkg, dir) {
			return &rules[i]
		}
	}
	return nil
}

// matches says whether a pattern of the table stands for a directory.
func matches(pattern, dir string) bool {
	switch {
	case pattern == "..." || pattern == dir:
		return true
	case strings.HasSuffix(pattern, "/..."):
		parent := strings.TrimSuffix(pattern, "/...")
		return dir == parent || strings.HasPrefix(dir, parent+"/")
	case strings.HasSuffix(pattern, "/*"):
		rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(pattern, "*"))
		return ok && rest != "" && !strings.Contains(rest, "/")
	}
	return false
}

// below says whether an import path is, or lies below, one of prefixes.
func below(prefixes []string, name string) bool {
	for _, p := range prefixes {
		if name == p || strings.HasPrefix(name, p+"/") {
			return true
		}
	}
	return false
}
