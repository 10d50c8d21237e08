package redis_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
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

func peer(t *testing.T, s *redisserver.Server, args ...string) *exec.Cmd {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/peer.py", host, port}, args...)...)
	c.Stderr = os.Stderr
	return c
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestFromPython: what a Python peer publishes on a topic's channel reaches a
// subscriber of ours.
func TestFromPython(t *testing.T) {
	s := redisserver.Start(t)
	list := goldens(t)
	var topics []string
	for _, g := range list {
		topics = append(topics, *g.Event.Topic)
	}
	got := make(chan wyvern.Event, 100)
	sub, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Alias: "redis_db_pubsub_driver", Topics: topics, Config: driver.Config{Servers: []string{s.Addr}},
		Handler: func(_ context.Context, e wyvern.Event) error {
			if e.Action != wyvern.ActionSync {
				got <- e
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, g := range list {
		for _, body := range []string{g.New, g.Old} {
			put := peer(t, s, "publish", *g.Event.Topic)
			put.Stdin = strings.NewReader(body)
			if out, err := put.Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
				t.Fatalf("the peer reached %q subscribers: %v", out, err)
			}
			select {
			case e := <-got:
				if e.Table != text(g.Event.Table) || e.Key != text(g.Event.Key) || string(e.Action) != text(g.Event.Action) ||
					e.Value != text(g.Event.Value) || e.Topic != *g.Event.Topic {
					t.Errorf("got %+v", e)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("the event of topic %q did not come", *g.Event.Topic)
			}
		}
	}
}

// TestToPython: what a publisher of ours says, a Python peer that has subscribed
// to the topic's channel reads as it reads Dragonflow's.
func TestToPython(t *testing.T) {
	s := redisserver.Start(t)
	pub, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{
		Alias: "redis", Config: driver.Config{Servers: []string{s.Addr}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	sub := peer(t, s, "subscribe", "D", "2")
	out, err := sub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Start(); err != nil {
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
		var f struct{ Table, Key, Action, Value, Topic string }
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Table != "lport" || f.Key != key || f.Action != "set" || f.Value != `{"id": "`+key+`"}` || f.Topic != "D" {
			t.Errorf("the peer read %+v", f)
		}
	}
	if err := sub.Wait(); err != nil {
		t.Error(err)
	}
}
