// Package dragonflow has events as Dragonflow writes them, for tests with peers of
// its kind.
package dragonflow

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Event is one event and what is on the wire for it.
type Event struct {
	Table, Key, Action, Value, Topic string // empty where there is none
	// New and Old are the body by a new and by an old msgpack, in hex.
	New, Old string
}

// Events returns those that have a topic.
func Events(t testing.TB) (list []Event) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "internal", "envelope", "testdata", "frames.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var g struct {
			Event struct{ Table, Key, Action, Value, Topic string } // null leaves it empty
			New   string                                            `json:"body_new"`
			Old   string                                            `json:"body_old"`
		}
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatal(err)
		}
		if e := g.Event; e.Topic != "" {
			list = append(list, Event{e.Table, e.Key, e.Action, e.Value, e.Topic, g.New, g.Old})
		}
	}
	if len(list) == 0 {
		t.Fatal("no golden event has a topic")
	}
	return list
}

// root is the directory of the module that the test belongs to.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no module around the test: %v", err)
	return ""
}
