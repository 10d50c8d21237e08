package driver_test

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func TestRedact(t *testing.T) {
	for server, want := range map[string]string{
		"h:1": "h:1", "": "", "nats://h:1": "nats://h:1", "[::1]:5": "[::1]:5",
		"nats://u:p@h:1": "nats://***@h:1", "u:p@h:1": "***@h:1", "redis://u:p@ss@h:1/0": "redis://***@h:1/0", "u:p://q@h": "***@h",
	} {
		if got := driver.Redact(server); got != want {
			t.Errorf("%q: got %q, want %q", server, got, want)
		}
	}
}
