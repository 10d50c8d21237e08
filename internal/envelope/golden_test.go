package envelope

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// goldenFrame is an event and its body as two generations of peers write it.
type goldenFrame struct {
	event    Fields
	new, old []byte
}

func goldenFrames(t testing.TB) []goldenFrame {
	t.Helper()
	file, err := os.Open("testdata/frames.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []goldenFrame
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Event struct{ Table, Key, Action, Value, Topic *string }
			New   string `json:"body_new"`
			Old   string `json:"body_old"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		g := goldenFrame{new: unhex(t, line.New), old: unhex(t, line.Old)}
		e := line.Event
		for i, from := range []*string{e.Table, e.Key, e.Action, e.Value, e.Topic} {
			to := []*string{&g.event.Table, &g.event.Key, &g.event.Action, &g.event.Value, &g.event.Topic}[i]
			if from == nil {
				g.event.Null |= 1 << i
			} else {
				*to = *from
			}
		}
		list = append(list, g)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(list) < 8 {
		t.Fatalf("%d golden frames, want 8 or more", len(list))
	}
	return list
}

// Bodies of either generation of peers are the events that they say they are,
// and ours are the newer generation's, byte for byte.
func TestGolden(t *testing.T) {
	for _, g := range goldenFrames(t) {
		for name, body := range map[string][]byte{"new": g.new, "old": g.old} {
			if got := mustDecode(t, body); got != g.event {
				t.Errorf("Decode(%s %.80x):\n got %+v\nwant %+v", name, body, got, g.event)
			}
			got := mustRenumber(t, body, testEpoch, testSeq)
			want := append([]byte{0x87}, body[1:]...)
			want = append(want, unhex(t, "a565706f6368 cf8a1b2c3d4e5f6071 a3736571 cf0000000100000007")...)
			if !bytes.Equal(got, want) {
				t.Errorf("Renumber(%s %.80x):\n got %x\nwant %x", name, body, got, want)
			}
			if got, want := mustDecode(t, got), numbered(g.event, testEpoch, testSeq); got != want {
				t.Errorf("Decode(Renumber(%s %.80x)):\n got %+v\nwant %+v", name, body, got, want)
			}
		}
		if got := Append(nil, &g.event); !bytes.Equal(got, g.new) {
			t.Errorf("Append(%+v):\n got %x\nwant %x", g.event, got, g.new)
		}
	}
}
