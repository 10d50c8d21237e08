package wyvern

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/internal/envelope"
)

type golden struct {
	event      json.RawMessage
	topic      string
	newer, old []byte
}

func goldenFrames(t *testing.T) (list []golden) {
	t.Helper()
	file, err := os.Open(filepath.Join("internal", "envelope", "testdata", "frames.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for lines.Scan() {
		var line struct {
			Event json.RawMessage
			Topic string `json:"topic_frame"`
			New   string `json:"body_new"`
			Old   string `json:"body_old"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		list = append(list, golden{line.Event, string(unhex(line.Topic)), unhex(line.New), unhex(line.Old)})
	}
	if err := lines.Err(); err != nil || len(list) < 8 {
		t.Fatalf("%d golden frames, error %v", len(list), err)
	}
	return list
}

func decode(t *testing.T, topic string, body []byte) (e Event) {
	t.Helper()
	var f envelope.Fields
	if err := envelope.Decode(body, &f); err != nil {
		t.Fatal(err)
	}
	e.setFields(&f, topic)
	return e
}

// What a peer wrote is an event that is written as the same bytes.
func TestGolden(t *testing.T) {
	for _, g := range goldenFrames(t) {
		for name, from := range map[string][]byte{"new": g.newer, "old": g.old} {
			e := decode(t, g.topic, from)
			if e.Topic != g.topic {
				t.Errorf("topic %q, want %q", e.Topic, g.topic)
			}
			if got := body(e); !bytes.Equal(got, g.newer) {
				t.Errorf("%s frame of %.80s:\n got %.200x\nwant %.200x", name, g.event, got, g.newer)
			}
		}
	}
}

// What the frame says in JSON is an event that is written as that frame.
func TestGoldenJSON(t *testing.T) {
	for _, g := range goldenFrames(t) {
		var e Event
		if err := json.Unmarshal(g.event, &e); err != nil {
			t.Fatal(err)
		}
		if e.Topic == "" {
			e.Topic = g.topic
		}
		if got := body(e); !bytes.Equal(got, g.newer) {
			t.Errorf("%.80s:\n got %.200x\nwant %.200x", g.event, got, g.newer)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var again Event
		if err := json.Unmarshal(text, &again); err != nil || again != e {
			t.Errorf("%.80s became %.80s, error %v", g.event, text, err)
		}
	}
}

// Forms that no peer writes by default survive too.
func TestForms(t *testing.T) {
	for _, action := range []string{ActionSet, ActionSync} {
		for null := range envelope.Mask(32) {
			null &^= envelope.Action
			for _, text := range []string{"", "x"} {
				f := envelope.Fields{Table: text, Key: text, Action: action, Value: text, Topic: "T", Null: null}
				for _, field := range []struct {
					bit envelope.Mask
					s   *string
				}{{envelope.Table, &f.Table}, {envelope.Key, &f.Key}, {envelope.Value, &f.Value}, {envelope.Topic, &f.Topic}} {
					if null&field.bit != 0 {
						*field.s = ""
					}
				}
				wire := envelope.Append(nil, &f)
				e := decode(t, "T", wire)
				if got := body(e); !bytes.Equal(got, wire) {
					t.Errorf("%+v:\n got %x\nwant %x", f, got, wire)
				}
				for _, bit := range []envelope.Mask{envelope.Table, envelope.Key, envelope.Action, envelope.Value, envelope.Topic} {
					if got, want := e.IsNull(Field(bit)), null&bit != 0; got != want {
						t.Errorf("%+v: IsNull(%d) = %v", f, bit, got)
					}
				}
				// The same event, made by hand.
				made := Event{Table: f.Table, Key: f.Key, Action: action, Value: f.Value, Topic: "T"}
				for _, field := range []Field{FieldTable, FieldKey, FieldValue, FieldTopic} {
					made.SetNull(field, null&envelope.Mask(field) != 0)
				}
				if got := body(made); !bytes.Equal(got, wire) {
					t.Errorf("%+v by SetNull:\n got %x\nwant %x", f, got, wire)
				}
			}
		}
	}
}

func TestDefaultForm(t *testing.T) {
	if !(Event{Action: ActionSync, Topic: TopicAll}).IsNull(FieldTopic) {
		t.Error("the body of a sync has a topic")
	}
	e := Event{Action: ActionSet, Topic: "T"}
	if e.IsNull(FieldTopic) || e.IsNull(FieldAction) || !e.IsNull(FieldTable) || !e.IsNull(FieldKey) || !e.IsNull(FieldValue) {
		t.Errorf("%+v: wrong fields are null", e)
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want Event
		out  string // if not in
	}{
		{"full", `{"table":"lport","key":"k","action":"set","value":"{}","topic":"T","version":3,"publisher":"p","epoch":18446744073709551615,"seq":7}`,
			Event{Table: "lport", Key: "k", Action: "set", Value: "{}", Topic: "T", Version: 3, Publisher: "p", Epoch: 1<<64 - 1, Seq: 7}, ""},
		{"null and empty", `{"table":null,"key":"","action":"set","value":null,"topic":"T"}`,
			Event{Action: "set", Topic: "T", form: form(FieldKey)}, ""},
		{"absent and unknown", `{"action":"set","worker":{"pid":1},"topic":"T"}`,
			Event{Action: "set", Topic: "T"}, `{"table":null,"key":null,"action":"set","value":null,"topic":"T"}`},
		{"resync", `{"table":null,"key":null,"action":"sync","value":null,"topic":"D","reason":"gap"}`,
			Event{Action: "sync", Topic: "D", Reason: ReasonGap}, ""},
		{"no topic", `{"table":null,"key":null,"action":"sync","value":null,"topic":null}`,
			Event{Action: "sync"}, ""},
		{"no action", `{}`,
			Event{}, `{"table":null,"key":null,"action":"","value":null,"topic":null}`},
	} {
		var got Event
		if err := json.Unmarshal([]byte(c.in), &got); err != nil || got != c.want {
			t.Errorf("%s: got %+v, want %+v, error %v", c.name, got, c.want, err)
		}
		want := c.out
		if want == "" {
			want = c.in
		}
		if text, err := json.Marshal(c.want); string(text) != want || err != nil {
			t.Errorf("%s: got %s, want %s, error %v", c.name, text, want, err)
		}
	}
	for _, in := range []string{`[]`, `{"action":1}`, `{"version":-1}`, `{"seq":"1"}`, `{`} {
		if err := json.Unmarshal([]byte(in), new(Event)); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

// One number of the two is none.
func TestHalfNumbered(t *testing.T) {
	for _, f := range []envelope.Fields{
		{Action: "set", Topic: "T", Seq: 7},
		{Action: "set", Topic: "T", Epoch: 7},
	} {
		var e Event
		e.setFields(&f, "T")
		if e.Epoch != 0 || e.Seq != 0 {
			t.Errorf("%+v became %+v", f, e)
		}
	}
}

func TestCheckTopic(t *testing.T) {
	for topic, ok := range map[string]bool{
		"": false, "a": true, "\xff": false, "世界": true,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
	} {
		if err := checkTopic(topic); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalidEvent) {
			t.Errorf("checkTopic(%.20q): %v", topic, err)
		}
		if validTopic(topic) != ok || validTopic([]byte(topic)) != ok {
			t.Errorf("validTopic(%.20q) is %v", topic, !ok)
		}
	}
}
