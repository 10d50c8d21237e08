package drivertest

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/mem"
)

func TestMain(m *testing.M) { Main(m) }

// plain hides every optional interface but those that the capabilities demand,
// and says that it neither orders nor confirms, and on the network that it may
// lose: the suite must adapt.
type plain struct{ driver.Driver }

func (d plain) Capabilities() driver.Capabilities {
	c := d.Driver.Capabilities()
	c.Lossy = c.Filters // which no driver of the IPC hop does
	c.Ordered, c.Confirms, c.Identifies, c.Liveness = false, false, false, false
	return c
}

func TestAdapted(t *testing.T) {
	for _, hop := range []driver.Hop{driver.Network, driver.IPC} {
		t.Run(hop.String(), func(t *testing.T) {
			Run(t, Harness{Driver: hidden{plain{mem.Driver{Hub: new(mem.Hub), Hop: hop}}}, Hop: hop})
		})
	}
}
