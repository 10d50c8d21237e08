package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/etcd"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// Whether a Publish that was given up may have had an effect is said rightly:
// yes when a server did not answer, no when there was none to ask.
func TestUnsure(t *testing.T) {
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	p := behind(t, s)
	cfg := site(p.Addr().String())
	pub, _ := halves(t, cfg)
	publish(t, pub, "T", "first")
	give := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		msgs := []driver.Message{{Topic: []byte("T"), Payload: []byte("x")}}
		began := time.Now()
		n, err := pub.Publish(ctx, msgs)
		if n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Publish: %d, %v", n, err)
		}
		if took := time.Since(began); took > patience+3*time.Second {
			t.Errorf("it took %v", took)
		}
		return err
	}
	p.Apply(proxy.Both, proxy.Rule{Hold: true})
	if err := give(200 * time.Millisecond); !errors.Is(err, driver.ErrUnsure) {
		t.Errorf("no answer: got %v, want an ErrUnsure", err)
	}
	p.Refuse(true)
	p.Apply(proxy.Both, proxy.Rule{})
	p.Reset()
	give(300 * time.Millisecond) // the connection may still seem to be there
	if err := give(300 * time.Millisecond); errors.Is(err, driver.ErrUnsure) {
		t.Errorf("no server: got %v, want no ErrUnsure", err)
	}
	p.Heal()
	publish(t, pub, "T", "last")

	p.Apply(proxy.Both, proxy.Rule{Hold: true})
	errs := make(chan error, 1)
	withheld := p.Counts().Withheld
	go func() {
		_, err := pub.Publish(context.Background(), []driver.Message{{Topic: []byte("T"), Payload: []byte("x")}})
		errs <- err
	}()
	for p.Counts().Withheld == withheld {
		pause(t, time.Millisecond)
	}
	pub.Close()
	if err := <-errs; !errors.Is(err, driver.ErrClosed) || !errors.Is(err, driver.ErrUnsure) {
		t.Errorf("closed without an answer: got %v, want ErrClosed and ErrUnsure", err)
	}
}

// Each topic's events arrive in order and once, however batches mix topics and
// often the connection of the subscriber is cut. (The suite does not see to it for
// a driver that doesn't order across topics, and the core would put it right.)
func TestOrderOfTopics(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	cfg := site(s.Endpoint())
	pub, err := etcd.Driver{}.OpenPublisher(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	const topics, batches, size = 150, 60, 400
	var names []string
	for i := range topics {
		names = append(names, fmt.Sprint("topic ", i))
	}
	sub, p := cut(t, s, cfg, names...)
	random := rand.New(rand.NewPCG(3, 4))
	sent := make(map[string]int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for batch := range batches {
			var msgs []driver.Message
			for range size {
				topic := names[random.IntN(1+random.IntN(topics))] // some more than others
				msgs = append(msgs, driver.Message{Topic: []byte(topic), Payload: fmt.Append(nil, sent[topic])})
				sent[topic]++
			}
			if n, err := pub.Publish(t.Context(), msgs); n != size || err != nil {
				t.Errorf("Publish: %d, %v", n, err)
				return
			}
			if batch%10 == 9 {
				p.Reset()
			}
		}
	}()
	got := make(map[string]int)
	for range batches * size {
		m := receive(t, sub)
		topic := string(m.Topic)
		if m.Notice != driver.NoNotice || string(m.Payload) != fmt.Sprint(got[topic]) {
			t.Fatalf("%q on %s, notice %v; want %d", m.Payload, topic, m.Notice, got[topic])
		}
		got[topic]++
	}
	<-done
	if p.Counts().Reset == 0 {
		t.Error("no connection was reset")
	}
}

// A topic that the user may not write is refused, the others of its batch are
// written, and it passes when the user may.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true})
	enableAuth(t, s)
	root := s.Client(func(c *clientv3.Config) { c.Username, c.Password = "root", "root" })
	grant := func(key, end string) {
		t.Helper()
		if _, err := root.RoleGrantPermission(t.Context(), "user", key, end, clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := root.RoleRevokePermission(t.Context(), "user", "/pubsub/", clientv3.GetPrefixRangeEnd("/pubsub/")); err != nil {
		t.Fatal(err)
	}
	grant("/pubsub/", "/pubsub/m")
	cfg := with(s.Address(), "user", "user", "password", "right")
	cfg.ReconnectMax = 200 * time.Millisecond
	pub, sub := halves(t, cfg, "a", "b")
	var msgs []driver.Message
	for _, text := range []string{"a1", "a2", "b1", "z1", "a3", "b2"} {
		msgs = append(msgs, driver.Message{Topic: []byte(text[:1]), Payload: []byte(text)})
	}
	n, err := pub.Publish(t.Context(), msgs)
	var hint *driver.HintError
	if n != 3 || !errors.Is(err, driver.ErrRefused) || !errors.As(err, &hint) || !strings.Contains(err.Error(), "write /pubsub/z: ") {
		t.Errorf("Publish: %d, %v; want 3 and an error that names the key", n, err)
	}
	got := map[string]bool{}
	for !got["a2"] || !got["b1"] || errors.Is(err, driver.ErrUnsure) && !(got["a3"] && got["b2"]) {
		got[string(receive(t, sub).Payload)] = true
	}
	n, err = pub.Publish(t.Context(), msgs[2:])
	if n != 1 || !errors.Is(err, driver.ErrRefused) || errors.Is(err, driver.ErrUnsure) {
		t.Errorf("Publish: %d, %v; want 1, and that it is known before it is tried", n, err)
	}
	grant("/pubsub/z", "")
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, err := pub.Publish(t.Context(), msgs[3:4])
		if n == 1 {
			break
		}
		if !errors.Is(err, driver.ErrRefused) || time.Now().After(deadline) {
			t.Fatalf("Publish of what is permitted: %v", err)
		}
		pause(t, 10*time.Millisecond)
	}
}

// A message that is too large is blamed itself, not one before it that was to be
// written later.
func TestTooLargeIsBlamed(t *testing.T) {
	t.Parallel()
	s := etcdserver.Start(t, etcdserver.Options{Process: true, MaxRequestBytes: 64 << 10})
	cfg := site(s.Endpoint())
	pub, _ := halves(t, cfg)
	message := func(topic string, size int) driver.Message {
		return driver.Message{Topic: []byte(topic), Payload: make([]byte, size)}
	}
	n, err := pub.Publish(t.Context(), []driver.Message{message("T", 1), message("T", 2), message("T", 3), message("U", 900<<10), message("T", 4)})
	if n != 3 || !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("Publish: %d, %v; want 3 and ErrTooLarge", n, err)
	}
}
