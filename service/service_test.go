package service_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/mem"
	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/service"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// world is a service, its worker and its node, in one process.
type world struct {
	hub    *mem.Hub
	cfg    service.Config
	log    *lockedBuffer
	cancel context.CancelFunc
	ready  chan service.Info
	ended  chan error
}

// newWorld returns a world in which nothing is started.
func newWorld() *world {
	w := &world{hub: &mem.Hub{}, log: &lockedBuffer{}, ready: make(chan service.Info, 1), ended: make(chan error, 1)}
	w.cfg = service.Config{
		ID:      "api-1",
		Network: service.Hop{Driver: mem.Driver{Hub: w.hub}, Config: driver.Config{Socket: "net"}},
		IPC:     service.Hop{Driver: mem.Driver{Hub: w.hub, Hop: driver.IPC}, Config: driver.Config{Socket: "ipc"}},
		Log:     slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:   func(i service.Info) { w.ready <- i },
	}
	return w
}

// start runs the service until the test ends.
func (w *world) start(t *testing.T) service.Info {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() { w.ended <- service.Run(ctx, w.cfg) }()
	select {
	case i := <-w.ready:
		t.Cleanup(cancel)
		return i
	case err := <-w.ended:
		t.Fatalf("service: %v", err)
	case <-time.After(patience):
		t.Fatal("service is not ready")
	}
	panic("unreachable")
}

// stop orders the end, and returns how it came.
func (w *world) stop(t *testing.T) error {
	t.Helper()
	w.cancel()
	return w.wait(t)
}

func (w *world) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		t.Fatal("service has not ended")
	}
	panic("unreachable")
}

func (w *world) worker(t *testing.T) *wyvern.Publisher {
	t.Helper()
	p, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{
		Driver: mem.Driver{Hub: w.hub, Hop: driver.IPC}, Hop: driver.IPC, ID: "worker",
		Config: driver.Config{Socket: "ipc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func (w *world) node(t *testing.T, handler func(context.Context, wyvern.Event) error) *wyvern.Subscriber {
	t.Helper()
	s, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Driver: mem.Driver{Hub: w.hub}, Handler: handler,
		Topics: []string{wyvern.TopicAll}, Connect: []string{"mem://net"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func publish(t *testing.T, p *wyvern.Publisher, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range n {
		e := wyvern.Event{Table: "lport", Key: fmt.Sprint(i + 1), Action: wyvern.ActionSet, Topic: wyvern.TopicAll}
		if err := p.Publish(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
}

// Every event of a worker reaches the node, in order, numbered by the service;
// the end of the service loses none of them.
func TestDelivery(t *testing.T) {
	const n = 1000
	w := newWorld()
	info := w.start(t)
	got := make(chan wyvern.Event, n)
	w.node(t, func(_ context.Context, e wyvern.Event) error { got <- e; return nil })
	publish(t, w.worker(t), n)
	if err := w.stop(t); err != nil {
		t.Fatalf("end of the service: %v", err)
	}
	for i := range n {
		var e wyvern.Event
		select {
		case e = <-got:
		case <-time.After(patience):
			t.Fatalf("got %d of %d events", i, n)
		}
		if e.Key != fmt.Sprint(i+1) || e.Seq != uint64(i+1) || e.Epoch != info.Epoch || e.Publisher != "api-1" {
			t.Fatalf("event %d: %+v", i+1, e)
		}
	}
	s := info.Status()
	if s.ID != "api-1" || s.Epoch != info.Epoch || s.IPC.Messages != n || s.Network.Messages != n || s.Network.Deliveries != n {
		t.Errorf("status: %+v", s)
	}
	if text := s.LogValue().String(); !strings.Contains(text, "published=1000") || strings.Contains(text, "malformed") {
		t.Errorf("status in the log: %s", text)
	}
}

func TestInfo(t *testing.T) {
	w := newWorld()
	i := w.start(t)
	if i.ID != "api-1" || i.Epoch == 0 || i.Network.String() != "net" || i.IPC.String() != "ipc" {
		t.Errorf("info: %+v", i)
	}
	if err := w.stop(t); err != nil {
		t.Error(err)
	}
}

// After the end of a service its addresses are free.
func TestRestart(t *testing.T) {
	w := newWorld()
	first := w.start(t)
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
	second := w.start(t)
	if first.Epoch == second.Epoch {
		t.Error("two incarnations have the same epoch")
	}
	if err := w.stop(t); err != nil {
		t.Fatal(err)
	}
}

// What can't start is an error with the driver's hint, and holds nothing.
func TestStartErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*service.Config)
		want   string
		hint   bool
	}{
		{"no id", func(c *service.Config) { c.ID = "" }, "service has no id", false},
		{"network alias", func(c *service.Config) { c.Network = service.Hop{Alias: "nonsense"} }, `network: open publisher: unknown driver alias "nonsense"`, true},
		{"ipc alias", func(c *service.Config) { c.IPC = service.Hop{Alias: "nonsense"} }, `ipc: open relay: unknown driver alias "nonsense"`, true},
		{"no socket", func(c *service.Config) { c.IPC.Config.Socket = "" }, "ipc: open relay: mem ipc: no address to meet at", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			bad := w.cfg
			tt.change(&bad)
			err := service.Run(t.Context(), bad)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			var hint *driver.HintError
			if errors.As(err, &hint) != tt.hint {
				t.Errorf("hint: %v", hint)
			}
			w.start(t)
			if err := w.stop(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// A second service is refused, and the first goes on.
func TestSecond(t *testing.T) {
	w := newWorld()
	w.start(t)
	for _, change := range []func(*service.Config){
		func(*service.Config) {},
		func(c *service.Config) { c.Network.Config.Socket = "other" }, // the same IPC socket
	} {
		second := w.cfg
		change(&second)
		err := service.Run(t.Context(), second)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("second service: %v", err)
		}
	}
	got := make(chan wyvern.Event, 1)
	w.node(t, func(_ context.Context, e wyvern.Event) error { got <- e; return nil })
	publish(t, w.worker(t), 1)
	select {
	case <-got:
	case <-time.After(patience):
		t.Error("the first service does not deliver")
	}
	if err := w.stop(t); err != nil {
		t.Error(err)
	}
}

// half replaces methods of a driver's halves.
type half struct {
	driver.Driver
	flush   func(context.Context) error
	receive func(context.Context) error
	publish func(context.Context) error
}

func (h half) OpenPublisher(ctx context.Context, cfg driver.Config) (driver.Publisher, error) {
	p, err := h.Driver.OpenPublisher(ctx, cfg)
	return publisherHalf{p, h}, err
}

func (h half) OpenSubscriber(ctx context.Context, cfg driver.Config) (driver.Subscriber, error) {
	s, err := h.Driver.OpenSubscriber(ctx, cfg)
	return subscriberHalf{s, h}, err
}

type publisherHalf struct {
	driver.Publisher
	half half
}

func (p publisherHalf) Flush(ctx context.Context) error { return p.half.flush(ctx) }

func (p publisherHalf) Publish(ctx context.Context, msgs []driver.Message) (int, error) {
	if p.half.publish != nil {
		return 0, p.half.publish(ctx)
	}
	return p.Publisher.Publish(ctx, msgs)
}

type subscriberHalf struct {
	driver.Subscriber
	half half
}

func (s subscriberHalf) Receive(ctx context.Context, _ []driver.Message) (int, error) {
	return 0, s.half.receive(ctx)
}

// A node that is stuck is a warning; that there was no time is an error.
func TestFlush(t *testing.T) {
	t.Run("stuck node", func(t *testing.T) {
		w := newWorld()
		w.cfg.Network.Driver = half{Driver: w.cfg.Network.Driver, flush: func(context.Context) error {
			return errors.New("1 of 3 subscribers is stuck")
		}}
		w.start(t)
		if err := w.stop(t); err != nil {
			t.Errorf("got %v, want a warning", err)
		}
		if !strings.Contains(w.log.String(), `level=WARN msg="not every node got everything"`) {
			t.Errorf("log:\n%s", w.log)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		w := newWorld()
		w.cfg.DrainTimeout = 20 * time.Millisecond
		w.cfg.Network.Driver = half{Driver: w.cfg.Network.Driver, flush: func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("7 bytes left: %w", ctx.Err())
		}}
		w.start(t)
		err := w.stop(t)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "7 bytes left") {
			t.Errorf("got %v", err)
		}
	})
}

// What could not be relayed in time is named.
func TestDrainTimeout(t *testing.T) {
	w := newWorld()
	w.cfg.DrainTimeout = 50 * time.Millisecond
	blocked := make(chan struct{})
	once := sync.OnceFunc(func() { close(blocked) })
	w.cfg.Network.Driver = half{
		Driver:  w.cfg.Network.Driver,
		flush:   func(context.Context) error { return nil },
		publish: func(ctx context.Context) error { once(); <-ctx.Done(); return ctx.Err() },
	}
	w.start(t)
	publish(t, w.worker(t), 1)
	<-blocked
	err := w.stop(t)
	want := "drain ipc: not everything that workers had sent was relayed after 50ms, 1 events of it in hand"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestNoDrain(t *testing.T) {
	w := newWorld()
	w.cfg.DrainTimeout = -1
	w.cfg.Network.Driver = half{Driver: w.cfg.Network.Driver, flush: func(context.Context) error {
		return errors.New("flushed")
	}}
	w.start(t)
	if err := w.stop(t); err != nil {
		t.Error(err)
	}
	if strings.Contains(w.log.String(), "flushed") {
		t.Error("it was drained")
	}
}

// A relay that dies ends the service, with its error.
func TestRelayDies(t *testing.T) {
	w := newWorld()
	w.cfg.IPC.Driver = half{Driver: w.cfg.IPC.Driver, receive: func(context.Context) error { return driver.ErrClosed }}
	w.start(t)
	if err := w.wait(t); !errors.Is(err, driver.ErrClosed) || !strings.HasPrefix(err.Error(), "relay: ") {
		t.Errorf("got %v", err)
	}
	// Its addresses are free.
	w.cfg.IPC.Driver = mem.Driver{Hub: w.hub, Hop: driver.IPC}
	w.start(t)
	if err := w.stop(t); err != nil {
		t.Error(err)
	}
}

func TestStats(t *testing.T) {
	w := newWorld()
	w.cfg.StatsInterval = time.Millisecond
	w.start(t)
	for deadline := time.Now().Add(patience); !strings.Contains(w.log.String(), "level=DEBUG msg=stats"); {
		if time.Now().After(deadline) {
			t.Fatalf("no stats in the log:\n%s", w.log)
		}
		time.Sleep(time.Millisecond)
	}
	if err := w.stop(t); err != nil {
		t.Error(err)
	}
}

// lockedBuffer is a log that a test can read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
