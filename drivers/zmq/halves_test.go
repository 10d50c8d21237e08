package zmq

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivertest"
)

// patience bounds what must happen; it slows down nothing but a failure.
const patience = 15 * time.Second

// begin bounds a test, and checks at its end that no goroutine is left.
func begin(t testing.TB) context.Context {
	t.Helper()
	drivertest.CheckLeaks(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// shortDir is t.TempDir with a path that leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "zq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// quick are short times, for tests that wait for them to pass.
func quick(c *driver.Config) {
	c.ReconnectMin, c.ReconnectMax = 5*time.Millisecond, 20*time.Millisecond
}

func config(edit []func(*driver.Config)) driver.Config {
	cfg := driver.Config{BindAddress: "127.0.0.1"}
	for _, f := range edit {
		f(&cfg)
	}
	return cfg
}

func openPub(t testing.TB, ctx context.Context, edit ...func(*driver.Config)) *publisher {
	t.Helper()
	p, err := Network{}.OpenPublisher(ctx, config(edit))
	if err != nil {
		t.Fatalf("open publisher: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*publisher)
}

func openSub(t testing.TB, ctx context.Context, edit ...func(*driver.Config)) *subscriber {
	t.Helper()
	s, err := Network{}.OpenSubscriber(ctx, config(edit))
	if err != nil {
		t.Fatalf("open subscriber: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*subscriber)
}

func openPull(t testing.TB, ctx context.Context, socket string, edit ...func(*driver.Config)) *puller {
	t.Helper()
	cfg := config(edit)
	cfg.Socket = socket
	p, err := IPC{}.OpenSubscriber(ctx, cfg)
	if err != nil {
		t.Fatalf("open puller: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*puller)
}

func openPush(t testing.TB, ctx context.Context, socket string, edit ...func(*driver.Config)) *pusher {
	t.Helper()
	cfg := config(edit)
	cfg.Socket = socket
	p, err := IPC{}.OpenPublisher(ctx, cfg)
	if err != nil {
		t.Fatalf("open pusher: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*pusher)
}

// meet connects a subscriber to a publisher and waits until topics are held.
func meet(t testing.TB, ctx context.Context, s *subscriber, uri string, topics ...string) {
	t.Helper()
	if err := s.Connect(uri); err != nil {
		t.Fatalf("Connect(%s): %v", uri, err)
	}
	if err := s.Subscribe(ctx, topics...); err != nil {
		t.Fatalf("Subscribe(%q): %v", topics, err)
	}
	if err := s.Await(ctx); err != nil {
		t.Fatalf("Await: %v", err)
	}
}

func message(topic, payload string) driver.Message {
	return driver.Message{Topic: []byte(topic), Payload: []byte(payload)}
}

func publish(t testing.TB, ctx context.Context, p driver.Publisher, topic string, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if n, err := p.Publish(ctx, []driver.Message{message(topic, payload)}); n != 1 || err != nil {
			t.Fatalf("Publish: %d, %v", n, err)
		}
	}
}

// receive returns the next n messages, as topic, a space, payload.
func receive(t testing.TB, ctx context.Context, s driver.Subscriber, n int) (got []string) {
	t.Helper()
	batch := make([]driver.Message, 64)
	for len(got) < n {
		k, err := s.Receive(ctx, batch[:min(len(batch), n-len(got))])
		if err != nil {
			t.Fatalf("Receive after %d of %d messages, the last %.40q: %v", len(got), n, got[max(len(got)-1, 0):], err)
		}
		for _, m := range batch[:k] {
			got = append(got, string(m.Topic)+" "+string(m.Payload))
		}
	}
	return got
}

func wantMessages(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("got %.300q, want %.300q", got, want)
	}
}

// eventually waits for a condition that no signal tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// logBook is a log that tests read.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// use makes a half write its warnings there.
func (b *logBook) use(c *driver.Config) {
	c.Log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// useAll makes it write everything there.
func (b *logBook) useAll(c *driver.Config) {
	c.Log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *logBook) waitFor(t testing.TB, text string) {
	t.Helper()
	eventually(t, text+" in the log", func() bool { return strings.Contains(b.String(), text) })
}
