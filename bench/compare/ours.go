package main

import (
	"context"
	"errors"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/zmq"
)

// The roles that Wyvern plays. Each one calls st.ready when it's bound or
// connected, sends or receives until the run stops (ctx ends then, and source.next
// returns false), calls st.finish, and closes only after that.

// resync is what the core gives a driver to tell ZeroMQ nodes that they lost
// something: no event of this program, so that a receiver counts it apart.
const resync = "\x81\xa6action\xa4sync"

// local binds a free port of this machine.
func local() driver.Config { return driver.Config{BindAddress: "127.0.0.1"} }

// runOurPublisher binds the zmq network driver's publisher at 127.0.0.1, a free
// port, and publishes the ready-made bodies of a source on topic; with job.API,
// the same events through wyvern.Publisher. st.ready gets host:port.
func runOurPublisher(_ context.Context, st *station) error {
	ctx := context.Background()
	if st.job.API {
		return runOurAPIPublisher(ctx, st)
	}
	cfg := local()
	cfg.Retention, cfg.Resync = st.job.Retention, []byte(resync)
	pub, err := zmq.Network{}.OpenPublisher(ctx, cfg)
	if err != nil {
		return err
	}
	defer pub.Close()
	st.reportStatus(pub.(driver.Statuser))
	st.ready(pub.(driver.Bound).Addr().String())
	if err := publishAll(ctx, st, pub); err != nil {
		return err
	}
	st.finish(nil)
	return nil
}

// publishAll sends a source's events through a driver, one by one.
func publishAll(ctx context.Context, st *station, pub driver.Publisher) error {
	msgs := []driver.Message{{Topic: []byte(topic)}}
	for src := newSource(st); src.next(); src.sent() {
		msgs[0].Payload = src.body
		if _, err := pub.Publish(ctx, msgs); err != nil {
			return err
		}
	}
	return nil
}

func runOurAPIPublisher(ctx context.Context, st *station) error {
	pub, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{Driver: zmq.Network{}, Config: local()})
	if err != nil {
		return err
	}
	defer pub.Close()
	st.ready(pub.Addr().String())
	for src := newSource(st); src.next(); src.sent() {
		ev := wyvern.Event{
			Table: "lport", Key: "0b1f6d4e-2a57-4d4f-9a43-51a0b6b1f0aa", Action: wyvern.ActionSet,
			Value: string(src.body[valueAt : valueAt+valueSize]), Topic: topic,
		}
		if err := pub.Publish(ctx, ev); err != nil {
			return err
		}
	}
	st.finish(nil)
	return nil
}

// runOurService receives through the zmq IPC driver at job.Path and publishes
// through the zmq network driver at 127.0.0.1, a free port. st.ready gets
// host:port.
func runOurService(_ context.Context, st *station) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pub, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{Driver: zmq.Network{}, Config: local()})
	if err != nil {
		return err
	}
	defer pub.Close()
	relay, err := wyvern.OpenRelay(ctx, wyvern.RelayOptions{
		Driver: zmq.IPC{}, Hop: driver.IPC, Config: driver.Config{Socket: st.job.Path}, Publisher: pub,
	})
	if err != nil {
		return err
	}
	defer relay.Close()
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	st.ready(pub.Addr().String())
	<-st.exit
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// runOurPusher publishes the bodies of a source to the IPC driver at job.Path.
func runOurPusher(_ context.Context, st *station) error {
	ctx := context.Background()
	pub, err := zmq.IPC{}.OpenPublisher(ctx, driver.Config{Socket: st.job.Path})
	if err != nil {
		return err
	}
	defer pub.Close()
	st.ready("")
	if err := publishAll(ctx, st, pub); err != nil {
		return err
	}
	st.finish(nil)
	return nil
}

// runOurPuller receives through the zmq IPC driver at job.Path; st.countBody for
// each event, st.awaitDrained at the end.
func runOurPuller(ctx context.Context, st *station) error {
	sub, err := zmq.IPC{}.OpenSubscriber(ctx, driver.Config{Socket: st.job.Path})
	if err != nil {
		return err
	}
	defer sub.Close()
	go func() {
		msgs := make([]driver.Message, 512)
		for {
			n, err := sub.Receive(context.Background(), msgs)
			if err != nil {
				return // closed
			}
			for _, m := range msgs[:n] {
				st.countBody(m.Payload)
			}
		}
	}()
	st.ready("")
	st.awaitDrained(ctx)
	st.finish(nil)
	return nil
}

// runOurSubscriber is wyvern.Subscriber, connected to job.Address and subscribed
// to topic; st.countValue in the handler, st.awaitDrained at the end.
func runOurSubscriber(ctx context.Context, st *station) error {
	sub, err := wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Driver:  zmq.Network{},
		Topics:  []string{topic},
		Connect: []string{"tcp://" + st.job.Address},
		Handler: func(_ context.Context, ev wyvern.Event) error {
			var text [eventEnd - valueAt]byte // what is counted, without an allocation
			st.countValue(text[:copy(text[:], ev.Value)])
			return nil
		},
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	st.ready("")
	st.awaitDrained(ctx)
	st.finish(nil)
	return nil
}
