package drivertest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// Harness says how to test a driver.
type Harness struct {
	// Driver is what is tested, and Hop what it is for; default
	// driver.Network.
	Driver driver.Driver
	Hop    driver.Hop

	// Config returns what makes halves meet, at a place that nobody used
	// before: a free socket path, a subject of a broker. It is called once per
	// case, and all halves of the case are opened with what it returned, but
	// for ID, Epoch, AllTopics, MaxPayload, Queue and Log, which are the case's.
	// It must serve any number of publishers. Where publishers bind, let them
	// choose a free port: their driver.Bound tells it.
	//
	// Default: BindAddress 127.0.0.1 on the network hop, a Socket in a new
	// directory on the IPC hop.
	Config func(t testing.TB) driver.Config

	// URI returns by which address a driver.Connector reaches a publisher.
	// Default: its driver.Bound.Addr, as network://string.
	URI func(p driver.Publisher) string

	// Timeout is how long a case waits for what must happen; default 20 s. It
	// bounds a failure and slows down nothing else.
	Timeout time.Duration

	// Parallel says that other tests run at the same time, with servers of their
	// own. A case then answers for the goroutines that it started itself, by what
	// it inherits to them. RunFaults and RunNotice measure time: leave them alone.
	Parallel bool
}

func (h Harness) withDefaults() Harness {
	if h.Config == nil {
		h.Config = func(t testing.TB) driver.Config {
			if h.Hop == driver.Network {
				return driver.Config{BindAddress: "127.0.0.1"}
			}
			return driver.Config{Socket: filepath.Join(shortDir(t), "socket")}
		}
	}
	if h.URI == nil {
		h.URI = func(p driver.Publisher) string {
			a := p.(driver.Bound).Addr()
			return a.Network() + "://" + a.String()
		}
	}
	if h.Timeout <= 0 {
		h.Timeout = 20 * time.Second
	}
	return h
}

// shortDir is t.TempDir with a path that leaves room for the name of a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// testCase is one sentence of the contract.
type testCase struct {
	name     string
	sentence string
	run      func(p *place)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	h = h.withDefaults()
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the contract says: %s", c.sentence)
				}
			})
			c.run(newPlace(t, h))
		})
	}
}

func allCases() []testCase {
	var list []testCase
	for _, cases := range [][]testCase{deliveryCases, changeCases, payloadCases, blockCases, closeCases, coreCases} {
		list = append(list, cases...)
	}
	return list
}

// place is where the halves of one case meet.
type place struct {
	testing.TB
	h    Harness
	caps driver.Capabilities
	cfg  driver.Config
	// ctx bounds the case.
	ctx context.Context

	publishers int // opened so far
	probes     int
}

func newPlace(t testing.TB, h Harness) *place {
	if h.Parallel {
		checkOwnLeaks(t, h.Timeout/2)
	} else {
		checkLeaks(t, h.Timeout/2)
	}
	p := &place{TB: t, h: h, caps: h.Driver.Capabilities(), cfg: h.Config(t)}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	t.Cleanup(cancel)
	p.ctx = ctx
	return p
}
