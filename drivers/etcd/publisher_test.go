package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

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
