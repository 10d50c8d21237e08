//go:build linux

package e2e

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goldenFrame is an event as Dragonflow's processes put it on the wire, in
// frames.jsonl in the testdata of internal/envelope.
type goldenFrame struct {
	Event      event  `json:"event"`
	TopicFrame string `json:"topic_frame"`
	New        string `json:"body_new"`
	Old        string `json:"body_old"`
}

func (g *goldenFrame) topic(t testing.TB) string {
	t.Helper()
	b, err := hex.DecodeString(g.TopicFrame)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func goldenFrames(t testing.TB) []goldenFrame {
	t.Helper()
	text, err := os.ReadFile("../internal/envelope/testdata/frames.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var list []goldenFrame
	for line := range strings.Lines(string(text)) {
		var g goldenFrame
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	if len(list) < 8 {
		t.Fatalf("%d golden frames, want 8 or more", len(list))
	}
	return list
}

func same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// checkEvents compares what a node got, apart from warm-up events, with frames.
// bodyTopic: the node shows the body's topic, which may be nil, and not the
// event's.
func checkEvents(t testing.TB, in *inbox, want []goldenFrame, bodyTopic bool) {
	t.Helper()
	var got []*event
	for _, e := range in.events() {
		if !strings.HasPrefix(e.key(), "warm ") && e.key() != "end" {
			got = append(got, e)
		}
	}
	if len(got) != len(want) {
		t.Errorf("node %s got %d events, want %d: %v", in.name, len(got), len(want), got)
		return
	}
	for i, e := range got {
		w := &want[i].Event
		topic := want[i].topic(t)
		ok := same(e.Table, w.Table) && same(e.Key, w.Key) && same(e.Action, w.Action) && same(e.Value, w.Value)
		if bodyTopic {
			ok = ok && same(e.Topic, w.Topic) && e.Frame == topic
		} else {
			ok = ok && e.Topic != nil && *e.Topic == topic
		}
		if !ok || e.Epoch == 0 || e.Seq == 0 || e.Reason != "" {
			t.Errorf("node %s, event %d:\n got %v\nwant %v on topic %q, with epoch and seq", in.name, i, e, w, topic)
		}
	}
}

// goldenTopics are the frames' topics, and one more to know the end by.
func goldenTopics(t testing.TB, frames []goldenFrame) []string {
	topics := []string{"end"}
	for i := range frames {
		if topic := frames[i].topic(t); !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	return topics
}

// Frames of Dragonflow's processes, written by new and by old msgpack, reach
// nodes as the same maps, with our numbers behind their five keys.
func TestFramesThroughService(t *testing.T) {
	t.Parallel()
	frames := goldenFrames(t)
	site := newSite(t)
	svc := site.serve(t)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{""}, Keys: true})
	ours := startSubscriber(t, "ours", svc.uri, goldenTopics(t, frames)...)
	_, sub := startSub(t, "sub", svc.uri, goldenTopics(t, frames)...)
	herald := startWorker(t, "herald", site.socket)
	herald.warm(t, "end", theirs.inbox, ours.inbox, sub)

	w := startPeer(t, "worker", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}})
	for i := range frames {
		w.order(t, order{Do: "raw", Frames: []string{frames[i].TopicFrame, frames[i].New}})
		w.order(t, order{Do: "raw", Frames: []string{frames[i].TopicFrame, frames[i].Old}})
	}
	end := eventBody("end", "end", nil)
	w.order(t, order{Do: "raw", Frames: []string{hex.EncodeToString([]byte("end")), hex.EncodeToString(end)}})

	var want []goldenFrame
	for _, f := range frames {
		want = append(want, f, f)
	}
	for _, n := range []*inbox{theirs.inbox, ours.inbox, sub} {
		n.awaitKey(t, "end")
		checkEvents(t, n, want, n == theirs.inbox)
	}
	keys := []string{"table", "key", "action", "value", "topic", "epoch", "seq"}
	for _, e := range theirs.events() {
		if !slices.Equal(e.Keys, keys) {
			t.Errorf("keys %q, want %q", e.Keys, keys)
		}
	}
}

// `wyvern pub --from` publishes the events of a file as they are, and `wyvern
// sub` prints them so (contract: 6).
func TestFramesThroughCommands(t *testing.T) {
	t.Parallel()
	frames := goldenFrames(t)
	site := newSite(t)
	svc := site.serve(t)
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{""}})
	_, sub := startSub(t, "sub", svc.uri, goldenTopics(t, frames)...)
	startWorker(t, "herald", site.socket).warm(t, "end", theirs.inbox, sub)

	var lines strings.Builder
	for i := range frames {
		e := frames[i].Event
		if e.Topic == nil {
			topic := frames[i].topic(t) // a file has no frame beside the event
			e.Topic = &topic
		}
		line, err := json.Marshal(map[string]any{"table": e.Table, "key": e.Key, "action": e.Action, "value": e.Value, "topic": e.Topic})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	lines.WriteString(`{"table":"t","key":"end","action":"log","topic":"end"}` + "\n")
	file := filepath.Join(site.dir, "events.jsonl")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := wyvernRun(t, "pub", "--config-file", site.file, "--from", file); status != 0 {
		t.Fatalf("pub: exit status %d\n%s", status, stderr)
	}
	for _, n := range []*inbox{theirs.inbox, sub} {
		n.awaitKey(t, "end")
		// Dragonflow's order to sync has no topic in its body, only as frame.
		checkEvents(t, n, frames, n == theirs.inbox)
	}
}
