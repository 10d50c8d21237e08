package etcd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// golden are events as Dragonflow writes them.
type golden struct {
	Event struct{ Table, Key, Action, Value, Topic *string }
	New   string `json:"body_new"`
	Old   string `json:"body_old"`
}

func goldens(t *testing.T) (list []golden) {
	t.Helper()
	text, err := os.ReadFile("../../internal/envelope/testdata/frames.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var g golden
		if err := json.Unmarshal(line, &g); err != nil {
			t.Fatal(err)
		}
		if g.Event.Topic != nil && *g.Event.Topic != "" {
			list = append(list, g)
		}
	}
	if len(list) == 0 {
		t.Fatal("no golden event has a topic")
	}
	return list
}

func peer(t *testing.T, args ...string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/peer.py"}, args...)...)
	c.Stderr = os.Stderr
	return c
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// What a Python peer puts under a topic's key reaches a subscriber of ours.
func TestFromPython(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	list := goldens(t)
	var topics []string
	for _, g := range list {
		topics = append(topics, *g.Event.Topic)
	}
	got := make(chan wyvern.Event, 100)
	sub, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Alias: "etcd_pubsub_driver", Topics: topics, Config: driver.Config{Servers: []string{s.Endpoint()}},
		Handler: func(_ context.Context, e wyvern.Event) error { got <- e; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, g := range list {
		// Two quick ones of a topic: both arrive.
		for _, body := range []string{g.New, g.Old} {
			put := peer(t, s.Endpoint(), "put", *g.Event.Topic, "-")
			put.Stdin = strings.NewReader(body)
			if err := put.Run(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			e := <-got
			if e.Table != text(g.Event.Table) || e.Key != text(g.Event.Key) || string(e.Action) != text(g.Event.Action) ||
				e.Value != text(g.Event.Value) || e.Topic != *g.Event.Topic {
				t.Errorf("got %+v", e)
			}
		}
	}
}

// What a publisher of ours says, a Python peer that watches the topic's key
// reads as it reads Dragonflow's.
func TestToPython(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	pub, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{
		Alias: "etcd", Config: driver.Config{Servers: []string{s.Endpoint()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	watch := peer(t, s.Endpoint(), "watch", "D", "2")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the peer said %q", lines.Text())
	}
	for _, key := range []string{"one", "two"} {
		e := wyvern.Event{Table: "lport", Key: key, Action: wyvern.ActionSet, Value: `{"id": "` + key + `"}`, Topic: "D"}
		if err := pub.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"one", "two"} {
		if !lines.Scan() {
			t.Fatalf("the peer ended: %v", lines.Err())
		}
		body, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		var f envelope.Fields
		if err := envelope.Decode(body, &f); err != nil {
			t.Fatal(err)
		}
		if f.Table != "lport" || f.Key != key || f.Action != "set" || f.Value != `{"id": "`+key+`"}` || f.Topic != "D" {
			t.Errorf("the peer read %+v", f)
		}
	}
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
}
