package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func TestDrivers(t *testing.T) {
	text, js := run(t, "", "drivers"), run(t, "", "drivers", "-o", "json")
	if text.status != 0 || js.status != 0 {
		t.Fatalf("%+v\n%+v", text, js)
	}
	var rows []struct {
		Alias, Hop, Roles string
		Capabilities      map[string]any
	}
	if err := json.Unmarshal([]byte(js.stdout), &rows); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, a := range driver.Aliases() {
		for _, h := range []driver.Hop{driver.Network, driver.IPC} {
			if a.Part(h).Driver != nil {
				want++
			}
		}
		if !strings.Contains(text.stdout, "\n"+a.Name+" ") {
			t.Errorf("no %s in the table:\n%s", a.Name, text.stdout)
		}
	}
	if len(rows) != want || want == 0 {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
	for _, r := range rows {
		if r.Alias == "zmq_bind_pubsub_driver" && r.Hop == "ipc" && (r.Roles != "subscriber" || r.Capabilities["ordered"] != true) {
			t.Errorf("%+v", r)
		}
	}
}

// The README's table is what `wyvern drivers -o markdown` prints.
func TestReadmeHasDrivers(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, "", "drivers", "-o", "markdown")
	if r.status != 0 || !strings.Contains(r.stdout, "| zmq network | network | ") {
		t.Fatalf("%+v", r)
	}
	const begin, end = "<!-- made by: wyvern drivers -o markdown -->\n", "<!-- end -->\n"
	_, rest, _ := strings.Cut(string(readme), begin)
	table, _, found := strings.Cut(rest, end)
	if !found || table != r.stdout {
		t.Errorf("README.md has, between its marks,\n%s\nand wyvern drivers -o markdown prints\n%s", table, r.stdout)
	}
}
