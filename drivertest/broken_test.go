package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/mem"
)

// brokenEnv names the broken driver that a subprocess runs the suite with.
const brokenEnv = "WYVERN_DRIVERTEST_BROKEN"

// broken is a bug that the suite must find: put into a driver that has none.
type broken struct {
	name string
	hop  driver.Hop
	// fails are the cases that must find it, says part of what they print.
	fails []string
	says  string
	spoil func(d *wrapped)
}

var brokenDrivers = []broken{
	{"nothing", driver.Network, nil, "", func(*wrapped) {}},
	{"nothing on the IPC hop", driver.IPC, nil, "", func(*wrapped) {}},
	{"nothing beside others", driver.Network, nil, "", func(d *wrapped) { d.parallel = true }},

	{"drops a message", driver.Network, []string{"Order", "CoreNumbers"}, "in vain", onPublish(dropOne)},
	{"drops a message on the IPC hop", driver.IPC, []string{"Order", "Filter"}, "in vain", onPublish(dropOne)},
	{"delivers twice", driver.Network, []string{"Order", "Filter"}, "", onPublish(func(_ int, msgs []driver.Message) []driver.Message {
		return append(msgs, msgs[len(msgs)-1])
	})},
	{"reorders", driver.Network, []string{"Order"}, "message ", onPublish(func(_ int, msgs []driver.Message) []driver.Message {
		slices.Reverse(msgs)
		return msgs
	})},
	{"matches prefixes", driver.Network, []string{"Filter"}, "the holder of", matchPrefixes},
	{"mixes up publishers", driver.Network, []string{"SeveralPublishers"}, "publisher-", func(d *wrapped) {
		d.open = func(_ context.Context, cfg *driver.Config) { cfg.ID = "publisher-1" }
	}},
	{"truncates", driver.Network, []string{"Sizes"}, "equal: false", onPublish(func(_ int, msgs []driver.Message) []driver.Message {
		for i := range msgs {
			msgs[i].Payload = msgs[i].Payload[:min(len(msgs[i].Payload), 65535)]
		}
		return msgs
	})},
	{"takes what is too large", driver.Network, []string{"TooLarge"}, "want 1", func(d *wrapped) {
		d.open = func(_ context.Context, cfg *driver.Config) { cfg.MaxPayload = 1 << 30 }
	}},
	{"keeps the caller's bytes", driver.Network, []string{"CallersBytes"}, "", keepBytes},
	{"reuses bytes too early", driver.Network, []string{"ReceiversBytes"}, "before the next Receive", reuseBytes},
	{"flushes nothing", driver.Network, []string{"Flush"}, "in vain", delayOne},

	{"sends to one subscriber only", driver.Network, []string{"SeveralSubscribers"}, "in vain", func(d *wrapped) {
		var opened atomic.Int32
		d.subscriber = func(s *wrappedSubscriber) {
			if opened.Add(1) > 1 {
				s.subscribe = func(context.Context, ...string) error { return nil }
			}
		}
	}},
	{"lets a second one bind", driver.IPC, []string{"SeveralSubscribers"}, "was not refused", func(d *wrapped) {
		var opened atomic.Int32
		d.open = func(_ context.Context, cfg *driver.Config) {
			if opened.Add(1) > 2 { // after a publisher and a subscriber
				cfg.Socket += "-other"
			}
		}
	}},
	{"drops everything on Unsubscribe", driver.Network, []string{"Topics"}, "in vain", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			s.unsubscribe = func(ctx context.Context, topics ...string) error {
				return s.inner.Unsubscribe(ctx, append(topics, "kept")...)
			}
		}
	}},
	{"holds few topics", driver.Network, []string{"ManyTopics"}, "in vain", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			s.subscribe = func(ctx context.Context, topics ...string) error {
				return s.inner.Subscribe(ctx, topics[:min(len(topics), 1000)]...)
			}
		}
	}},
	{"connects only once", driver.Network, []string{"Addresses"}, "in vain", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			seen := map[string]bool{}
			connect := s.connect
			s.connect = func(uri string) error {
				if seen[uri] {
					return nil
				}
				seen[uri] = true
				return connect(uri)
			}
		}
	}},
	{"confirms too early", driver.Network, []string{"Confirmed"}, "in vain", confirmEarly},
	{"drains nothing", driver.IPC, []string{"Drain"}, "0 messages", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			var drained atomic.Bool
			s.drain = func() { drained.Store(true) }
			s.receive = func(ctx context.Context, dst []driver.Message) (int, error) {
				if drained.Load() {
					return 0, io.EOF
				}
				return s.inner.Receive(ctx, dst)
			}
		}
	}},
	{"counts nothing", driver.Network, []string{"Status"}, "after 5 messages", func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			p.status = func(s *driver.Status) { *s = driver.Status{} }
		}
	}},
	{"changes its capabilities", driver.Network, []string{"Capabilities"}, "then", func(d *wrapped) {
		var asked atomic.Int64
		d.capabilities = func(c *driver.Capabilities) { c.MaxPayload = 1<<30 + int(asked.Add(1)) }
	}},

	{"ignores the context in Receive", driver.Network, []string{"ReceiveCancelled"}, "did not return", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			s.receive = func(ctx context.Context, dst []driver.Message) (int, error) {
				return s.inner.Receive(context.WithoutCancel(ctx), dst)
			}
		}
	}},
	{"ignores the context in Publish", driver.Network, []string{"PublishCancelled", "CoreCancelled"}, "did not return", func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
				return p.inner.Publish(context.WithoutCancel(ctx), msgs)
			}
		}
	}},
	{"accepts more than it says", driver.Network, []string{"PublishCancelled"}, "were accepted", func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
				n, err := p.inner.Publish(ctx, msgs)
				if err != nil {
					n = max(n-1, 0)
				}
				return n, err
			}
		}
	}},
	{"accepts and errs", driver.Network, []string{"CancelledBefore"}, "Publish: 1", func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
				n, _ := p.inner.Publish(context.WithoutCancel(ctx), msgs)
				return n, ctx.Err()
			}
		}
	}},
	{"doesn't wake Receive", driver.Network, []string{"CloseWakesReceive"}, "did not wake", lazyClose},
	{"doesn't wake Publish", driver.Network, []string{"CloseWakesPublish"}, "did not return", lazyClose},
	{"stays open", driver.IPC, []string{"Reopen"}, "in use", lazyClose},
	{"stays open for use", driver.Network, []string{"UseAfterClose"}, "want closed", lazyClose},
	{"fails to close twice", driver.Network, []string{"UseAfterClose"}, "Close of the publisher", func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			var closed atomic.Bool
			p.close = func() error {
				if closed.Swap(true) {
					return driver.ErrClosed
				}
				return p.inner.Close()
			}
		}
	}},
	{"deadlocks when closed twice at once", driver.Network, []string{"ConcurrentClose", "CoreClose"}, "concurrent Close did not return", func(d *wrapped) {
		d.subscriber = func(s *wrappedSubscriber) {
			var mu sync.Mutex
			s.unsubscribe = func(ctx context.Context, topics ...string) error {
				mu.Lock() // and never unlocks
				return s.inner.Unsubscribe(ctx, topics...)
			}
			s.close = func() error {
				mu.Lock()
				defer mu.Unlock()
				return s.inner.Close()
			}
		}
	}},
	{"hangs in Open", driver.Network, []string{"OpenCancelled"}, "did not return", func(d *wrapped) {
		d.open = func(ctx context.Context, _ *driver.Config) {
			if ctx.Err() != nil {
				select {}
			}
		}
	}},
	{"leaks a goroutine", driver.Network, []string{"Goroutines", "Order"}, "are left", func(d *wrapped) {
		d.publisher = func(*wrappedPublisher) { go func() { select {} }() }
	}},
	{"leaks a goroutine beside others", driver.Network, []string{"Goroutines", "Order"}, "are left", func(d *wrapped) {
		d.parallel = true
		d.publisher = func(*wrappedPublisher) { go func() { go func() { select {} }() }() }
	}},
}

// onPublish changes what is published, and says that all was accepted. change
// is also told how many messages came before from that publisher.
func onPublish(change func(before int, msgs []driver.Message) []driver.Message) func(d *wrapped) {
	return func(d *wrapped) {
		d.publisher = func(p *wrappedPublisher) {
			before := 0
			p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
				if _, err := p.inner.Publish(ctx, change(before, slices.Clone(msgs))); err != nil {
					return 0, err
				}
				before += len(msgs)
				return len(msgs), nil
			}
		}
	}
}

// dropOne drops the fifth message.
func dropOne(before int, msgs []driver.Message) []driver.Message {
	if i := 4 - before; i >= 0 && i < len(msgs) {
		return slices.Delete(msgs, i, i+1)
	}
	return msgs
}

// matchPrefixes makes subscribers take every topic, and hand out those that
// begin with one that is held.
func matchPrefixes(d *wrapped) {
	d.open = func(_ context.Context, cfg *driver.Config) { cfg.AllTopics = true }
	d.subscriber = func(s *wrappedSubscriber) {
		var mu sync.Mutex
		var held []string
		s.subscribe = func(_ context.Context, topics ...string) error {
			mu.Lock()
			defer mu.Unlock()
			held = append(held, topics...)
			return nil
		}
		s.receive = func(ctx context.Context, dst []driver.Message) (int, error) {
			for {
				n, err := s.inner.Receive(ctx, dst)
				mu.Lock()
				kept := slices.DeleteFunc(dst[:n], func(m driver.Message) bool {
					return !slices.ContainsFunc(held, func(t string) bool { return strings.HasPrefix(string(m.Topic), t) })
				})
				mu.Unlock()
				if len(kept) > 0 || err != nil {
					return len(kept), err
				}
			}
		}
	}
}

// keepBytes sends each message only when the next comes, or on Flush.
func keepBytes(d *wrapped) {
	d.publisher = func(p *wrappedPublisher) {
		var kept []driver.Message
		p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
			old := kept
			kept = slices.Clone(msgs)
			if _, err := p.inner.Publish(ctx, old); err != nil {
				return 0, err
			}
			return len(msgs), nil
		}
		p.flush = func(ctx context.Context) error {
			_, err := p.inner.Publish(ctx, kept)
			kept = nil
			return err
		}
	}
}

// delayOne sends each batch only when the next comes.
func delayOne(d *wrapped) {
	d.publisher = func(p *wrappedPublisher) {
		var kept []driver.Message
		p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
			old := kept
			kept = nil
			for _, m := range msgs {
				kept = append(kept, driver.Message{Topic: bytes.Clone(m.Topic), Payload: bytes.Clone(m.Payload)})
			}
			if _, err := p.inner.Publish(ctx, old); err != nil {
				return 0, err
			}
			return len(msgs), nil
		}
	}
}

// reuseBytes writes over what was received when something is published.
func reuseBytes(d *wrapped) {
	var mu sync.Mutex
	var last []byte
	d.subscriber = func(s *wrappedSubscriber) {
		s.receive = func(ctx context.Context, dst []driver.Message) (int, error) {
			n, err := s.inner.Receive(ctx, dst)
			if n > 0 {
				mu.Lock()
				last = bytes.Clone(dst[0].Payload)
				dst[0].Payload = last
				mu.Unlock()
			}
			return n, err
		}
	}
	d.publisher = func(p *wrappedPublisher) {
		p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
			mu.Lock()
			copy(last, "something else")
			mu.Unlock()
			return p.inner.Publish(ctx, msgs)
		}
	}
}

// confirmEarly lets subscriptions take effect only after the next message.
func confirmEarly(d *wrapped) {
	var mu sync.Mutex
	var pending []func()
	d.subscriber = func(s *wrappedSubscriber) {
		s.subscribe = func(ctx context.Context, topics ...string) error {
			topics = slices.Clone(topics)
			mu.Lock()
			defer mu.Unlock()
			pending = append(pending, func() { s.inner.Subscribe(context.Background(), topics...) })
			return nil
		}
	}
	d.publisher = func(p *wrappedPublisher) {
		p.publish = func(ctx context.Context, msgs []driver.Message) (int, error) {
			n, err := p.inner.Publish(ctx, msgs)
			mu.Lock()
			defer mu.Unlock()
			for _, f := range pending {
				f()
			}
			pending = nil
			return n, err
		}
	}
}

// lazyClose closes nothing.
func lazyClose(d *wrapped) {
	d.publisher = func(p *wrappedPublisher) { p.close = func() error { return nil } }
	d.subscriber = func(s *wrappedSubscriber) { s.close = func() error { return nil } }
}

// TestBroken is what the subprocesses run.
func TestBroken(t *testing.T) {
	name := os.Getenv(brokenEnv)
	if name == "" {
		t.Skip("only in a subprocess of TestSuiteFindsBugs")
	}
	for _, b := range brokenDrivers {
		if b.name == name {
			d := &wrapped{Driver: mem.Driver{Hub: new(mem.Hub), Hop: b.hop}}
			b.spoil(d)
			timeout := 3 * time.Second
			if b.fails == nil {
				timeout = 0 // must pass, however slow the machine
			}
			Run(t, Harness{Driver: d, Hop: b.hop, Timeout: timeout, Parallel: d.parallel})
			return
		}
	}
	t.Fatalf("no broken driver is called %q", name)
}

// The suite finds every planted bug, by the case whose business it is, and
// nothing in a driver without one.
func TestSuiteFindsBugs(t *testing.T) {
	if os.Getenv(brokenEnv) != "" {
		t.Skip("this is a subprocess")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Side by side, because they mostly wait for what doesn't happen.
	type result struct {
		out []byte
		err error
	}
	results := make(map[string]chan result)
	slots := make(chan struct{}, 8)
	for _, b := range brokenDrivers {
		done := make(chan result, 1)
		results[b.name] = done
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			pattern := "."
			if b.fails != nil {
				pattern = "^(" + strings.Join(b.fails, "|") + ")$"
			}
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestBroken$/"+pattern)
			cmd.Env = append(os.Environ(), brokenEnv+"="+b.name)
			out, err := cmd.CombinedOutput()
			done <- result{out, err}
		}()
	}
	for _, b := range brokenDrivers {
		t.Run(b.name, func(t *testing.T) {
			r := <-results[b.name]
			if b.fails == nil {
				if r.err != nil {
					t.Errorf("the suite failed without a bug: %v\n%s", r.err, r.out)
				}
				return
			}
			if exit, ok := errors.AsType[*exec.ExitError](r.err); !ok || exit.ExitCode() != 1 {
				t.Fatalf("the suite ended with %v\n%s", r.err, r.out)
			}
			for _, name := range b.fails {
				if !bytes.Contains(r.out, fmt.Appendf(nil, "--- FAIL: TestBroken/%s ", name)) {
					t.Errorf("case %s did not fail\n%s", name, r.out)
				}
			}
			if !bytes.Contains(r.out, []byte(b.says)) {
				t.Errorf("the output doesn't say %q\n%s", b.says, r.out)
			}
		})
	}
}

// Every case about drivers has a bug that it finds.
func TestEveryCaseCanFail(t *testing.T) {
	found := map[string]bool{}
	for _, b := range brokenDrivers {
		for _, name := range b.fails {
			found[name] = true
		}
	}
	for _, c := range allCases() {
		if !found[c.name] && !strings.HasPrefix(c.name, "Core") {
			t.Errorf("no broken driver makes %s fail", c.name)
		}
		delete(found, c.name)
	}
	for name := range found {
		t.Errorf("there is no case %s", name)
	}
}
