package zmq

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	pub, err := Network{}.OpenPublisher(ctx, driver.Config{BindAddress: "127.0.0.1", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := Network{}.OpenSubscriber(ctx, driver.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.(driver.Connector).Connect("tcp://" + pub.(driver.Bound).Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := sub.Subscribe(ctx, "D", "ab"); err != nil {
		t.Fatal(err)
	}
	if err := sub.(driver.Awaiter).Await(ctx); err != nil {
		t.Fatal(err)
	}
	const n = 100000
	go func() {
		for i := range n {
			for _, topic := range []string{"D", "abc", "ab"} {
				if _, err := pub.Publish(ctx, []driver.Message{{Topic: []byte(topic), Payload: []byte(fmt.Sprintf("%s %d", topic, i))}}); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	got := 0
	dst := make([]driver.Message, 512)
	for got < 2*n {
		k, err := sub.Receive(ctx, dst)
		if err != nil {
			t.Fatal(err, got)
		}
		for _, m := range dst[:k] {
			want := fmt.Sprintf("%s %d", []string{"D", "ab"}[got%2], got/2)
			if string(m.Payload) != want {
				t.Fatalf("got %q want %q", m.Payload, want)
			}
			got++
		}
	}
	if err := pub.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(pub.(driver.Statuser).Status())
	pub.Close()
	sub.Close()
}

func TestSmokeIPC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sock := t.TempDir() + "/s"
	sub, err := IPC{}.OpenSubscriber(ctx, driver.Config{Socket: sock})
	if err != nil {
		t.Fatal(err)
	}
	_, err = IPC{}.OpenSubscriber(ctx, driver.Config{Socket: sock})
	t.Log(err)
	pub, err := IPC{}.OpenPublisher(ctx, driver.Config{Socket: sock})
	if err != nil {
		t.Fatal(err)
	}
	const n = 300000
	go func() {
		for i := range n {
			if _, err := pub.Publish(ctx, []driver.Message{{Topic: []byte("D"), Payload: []byte(fmt.Sprintf("%d", i))}}); err != nil {
				t.Error(err)
			}
		}
		if err := pub.Flush(ctx); err != nil {
			t.Error(err)
		}
		sub.(driver.Drainer).Drain()
	}()
	got := 0
	dst := make([]driver.Message, 512)
	for {
		k, err := sub.Receive(ctx, dst)
		if err != nil {
			t.Log(err)
			break
		}
		for _, m := range dst[:k] {
			if string(m.Payload) != fmt.Sprint(got) {
				t.Fatalf("got %q want %d", m.Payload, got)
			}
			got++
		}
	}
	if got != n {
		t.Fatal(got)
	}
	pub.Close()
	sub.Close()
}
