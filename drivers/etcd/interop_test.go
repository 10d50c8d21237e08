package etcd_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/dragonflow"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

func peer(t *testing.T, args ...string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/peer.py"}, args...)...)
	c.Stderr = os.Stderr
	return c
}

// What a Python peer puts under a topic's key reaches a subscriber of ours.
func TestFromPython(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	list := dragonflow.Events(t)
	var topics []string
	for _, g := range list {
		topics = append(topics, g.Topic)
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
			put := peer(t, s.Endpoint(), "put", g.Topic, "-")
			put.Stdin = strings.NewReader(body)
			if err := put.Run(); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			e := <-got
			if e.Table != g.Table || e.Key != g.Key || string(e.Action) != g.Action ||
				e.Value != g.Value || e.Topic != g.Topic {
				t.Errorf("got %+v", e)
			}
		}
	}
}

// What a publisher of ours says, a Python peer that watches the topic's key
// reads as it reads Dragonflow's.
func TestToPython(t *testing.T) {
	t.Parallel()
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
