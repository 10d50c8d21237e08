package config

import (
	"testing"

	"github.com/google/uuid"
)

func TestPublisherID(t *testing.T) {
	// From Python: uuid.uuid5(uuid.NAMESPACE_DNS, 'wyvern-publisher.ctl1.example.org')
	if got, want := publisherID("ctl1.example.org"), "1b0ced21-3831-57fc-a356-6162aadb029f"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c := mustLoad(t, Sources{})
	id := c.PublisherID()
	if u, err := uuid.Parse(id); err != nil || u.Version() != 5 {
		t.Errorf("default: got %q (%v), want a version 5 UUID", id, err)
	}
	c.Wyvern.PublisherID = "mine"
	if got := c.PublisherID(); got != "mine" {
		t.Errorf("set: got %q", got)
	}
}

func TestQualify(t *testing.T) {
	tests := []struct{ name, host, canonical, want string }{
		{"already qualified", "Ctl1.Example.org", "other.example.org", "ctl1.example.org"},
		{"by the resolver", "ctl1", "CTL1.example.org.", "ctl1.example.org"},
		{"no answer", "ctl1", "", "ctl1"},
		{"an alias of localhost", "ctl1", "localhost", "ctl1"},
		{"another host", "ctl1", "ctl10.example.org.", "ctl1"},
		{"only the host", "ctl1", "ctl1.", "ctl1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := qualify(tt.host, func(string) string { return tt.canonical }); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
