package redis_test

import (
	"bufio"
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
	"github.com/wyvern-pubsub/wyvern/internal/testserver/dragonflow"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/redisserver"
)

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

// TestFromPython: what a Python peer publishes on a topic's channel reaches a
// subscriber of ours.
func TestFromPython(t *testing.T) {
	t.Parallel()
	s := redisserver.Start(t)
	list := dragonflow.Events(t)
	var topics []string
	for _, g := range list {
		topics = append(topics, g.Topic)
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
			put := peer(t, s, "publish", g.Topic)
			put.Stdin = strings.NewReader(body)
			if out, err := put.Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
				t.Fatalf("the peer reached %q subscribers: %v", out, err)
			}
			select {
			case e := <-got:
				if e.Table != g.Table || e.Key != g.Key || string(e.Action) != g.Action ||
					e.Value != g.Value || e.Topic != g.Topic {
					t.Errorf("got %+v", e)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("the event of topic %q did not come", g.Topic)
			}
		}
	}
}

// TestToPython: what a publisher of ours says, a Python peer that has subscribed
// to the topic's channel reads as it reads Dragonflow's.
func TestToPython(t *testing.T) {
	t.Parallel()
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
