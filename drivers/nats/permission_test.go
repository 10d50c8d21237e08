package nats_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/nats"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/natsserver"
)

// asUser is a configuration for a server, as user u.
func asUser(s *natsserver.Server) driver.Config {
	cfg := at(s.ClientURL())
	cfg.Params = map[string]string{"prefix": "p", "stream": "s", "user": "u", "password": "p"}
	cfg.ReconnectMax = 300 * time.Millisecond
	cfg.ResyncSpread = -1
	return cfg
}

// permitting is the configuration of a server where user u may publish and
// subscribe to some topics only.
func permitting(publish, subscribe []string) string {
	list := func(topics []string) string {
		subjects := []string{`"$JS.API.>"`, `"_INBOX.>"`}
		for _, topic := range topics {
			subjects = append(subjects, `"p.`+topic+`"`)
		}
		return strings.Join(subjects, ", ")
	}
	return fmt.Sprintf(`jetstream: {}
accounts: { A: { jetstream: enabled, users: [
  { user: u, password: p, permissions: { publish: [%s], subscribe: [%s] } }
  { user: all, password: p }
] } }`, list(publish), list(subscribe))
}

var everything = []string{"*"}

// What the server does not permit to be published is an error of the call, and
// costs no other topic anything. It passes when the operator permits it.
func TestPublishDenied(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			s := natsserver.Start(t, permitting([]string{"OK", "wyvern:beats"}, everything))
			cfg := asUser(s)
			pub, err := d.OpenPublisher(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer pub.Close()
			sub, err := d.OpenSubscriber(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			if err := sub.Subscribe(t.Context(), "OK", "secret"); err != nil {
				t.Fatal(err)
			}
			message := func(topic, text string) driver.Message {
				return driver.Message{Topic: []byte(topic), Payload: []byte(text)}
			}
			denied := func(want int, msgs ...driver.Message) error {
				t.Helper()
				n, err := pub.Publish(t.Context(), msgs)
				var hint *driver.HintError
				if n != want || !errors.Is(err, driver.ErrRefused) || !errors.As(err, &hint) || !strings.Contains(hint.Hint, "publish to p.secret") {
					t.Errorf("Publish: %d, %v; want %d and an error with a hint", n, err, want)
				}
				return err
			}
			if err := denied(0, message("secret", "x")); errors.Is(err, driver.ErrUnsure) {
				t.Errorf("got %v, but it is certain", err)
			}
			if n, err := pub.Publish(t.Context(), []driver.Message{message("OK", "1")}); n != 1 || err != nil {
				t.Errorf("Publish: %d, %v", n, err)
			}
			// It is known by now, so what is behind it was not sent either.
			if err := denied(1, message("OK", "2"), message("secret", "x"), message("OK", "x")); errors.Is(err, driver.ErrUnsure) {
				t.Errorf("got %v, but it is certain", err)
			}
			// What is behind a new one goes with it, whatever else is there.
			n, err := pub.Publish(t.Context(), []driver.Message{message("OK", "3"), message("other", "x"), message("OK", "4"), message("secret", "x"), message("OK", "5")})
			if n != 1 || !errors.Is(err, driver.ErrRefused) || !errors.Is(err, driver.ErrUnsure) {
				t.Errorf("Publish: %d, %v", n, err)
			}
			s.Reload(permitting(everything, everything))
			poll(t, "the permission", func() bool {
				n, err := pub.Publish(t.Context(), []driver.Message{message("secret", "6")})
				if err != nil && !errors.Is(err, driver.ErrRefused) {
					t.Error(err)
				}
				return n == 1
			})
			if n, err := pub.Publish(t.Context(), []driver.Message{message("OK", "7")}); n != 1 || err != nil {
				t.Errorf("Publish: %d, %v", n, err)
			}
			got := make([]driver.Message, 1)
			var texts []string
			for len(texts) == 0 || texts[len(texts)-1] != "7" {
				if _, err := sub.Receive(t.Context(), got); err != nil {
					t.Fatal(err)
				}
				if got[0].Notice == driver.NoNotice {
					texts = append(texts, string(got[0].Payload))
				}
			}
			if want := []string{"1", "2", "3", "4", "5", "6", "7"}; !slices.Equal(texts, want) {
				t.Errorf("received %q, want %q", texts, want)
			}
		})
	}
}

// A publisher whose signs of life are not permitted is not opened.
func TestBeatsDenied(t *testing.T) {
	s := natsserver.Start(t, permitting([]string{"T"}, everything))
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		_, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{Driver: d, Config: asUser(s)})
		var hint *driver.HintError
		if !errors.As(err, &hint) || !strings.Contains(hint.Hint, "publish to p.wyvern:beats") {
			t.Errorf("%s: got %v", d.Capabilities().Name, err)
		}
	}
}

// A permission that is taken away behind events that were accepted: everybody is
// told.
func TestPublishRevoked(t *testing.T) {
	s := natsserver.Start(t, permitting(everything, everything))
	r := newReader(t, nats.Driver{}, asUser(s), "T", wyvern.TopicAll)
	p := newWriter(t, nats.Driver{}, asUser(s))
	publish(t, p, "T", "first", 0)
	publish(t, p, wyvern.TopicAll, "first of all", 0)
	poll(t, "the first events", func() bool { return r.has("first") && r.has("first of all") })
	s.Reload(permitting([]string{wyvern.TopicAll, "wyvern:beats"}, everything))
	publish(t, p, "T", "lost", 0) // the server says so only now
	poll(t, "a resync of all", func() bool { return r.synced(wyvern.TopicAll) > 0 })
	if err := p.Publish(t.Context(), wyvern.Event{Topic: "T", Action: "set"}); !errors.Is(err, wyvern.ErrRefused) {
		t.Errorf("the next one: %v", err)
	}
	if r.has("lost") {
		t.Error("the permission was not taken away")
	}
}

// What may not be received is an error of Subscribe, or told again and again
// where nobody asked; and that it comes is told as well.
func TestSubscribeDenied(t *testing.T) {
	s := natsserver.Start(t, permitting(everything, []string{"OK", "wyvern:beats"}))
	sub, err := nats.Driver{}.OpenSubscriber(t.Context(), asUser(s))
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for range 2 { // it is asked for each time
		err := sub.Subscribe(t.Context(), "secret", "OK", "other")
		var hint *driver.HintError
		if !errors.As(err, &hint) || !strings.Contains(hint.Hint, "subscribe to p.") {
			t.Errorf("Subscribe: %v", err)
		}
		if err := sub.Subscribe(t.Context(), "OK"); err != nil {
			t.Errorf("Subscribe to what is permitted: %v", err)
		}
	}
	pub, err := nats.Driver{}.OpenPublisher(t.Context(), asUser(s))
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	notices := func(topic string, n driver.Notice) {
		t.Helper()
		got := make([]driver.Message, 1)
		for {
			if _, err := sub.Receive(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if string(got[0].Topic) == topic && got[0].Notice == n {
				return
			}
		}
	}
	notices("secret", driver.Gap)
	notices("secret", driver.Gap)
	s.Reload(permitting(everything, []string{"OK", "secret"}))
	notices("secret", driver.Confirmed)
	if _, err := pub.Publish(t.Context(), []driver.Message{{Topic: []byte("secret"), Payload: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	notices("secret", driver.NoNotice)
	s.Reload(permitting(everything, []string{"OK"}))
	notices("secret", driver.Gap)
}

// So it is with a limit of subscriptions.
func TestTooManySubscriptions(t *testing.T) {
	s := natsserver.Start(t, "max_subscriptions: 3")
	cfg := asUser(s)
	cfg.Params = map[string]string{"prefix": "p"}
	sub, err := nats.Driver{}.OpenSubscriber(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := sub.Subscribe(t.Context(), "1", "2"); err != nil {
		t.Fatal(err)
	}
	for _, topics := range [][]string{{"3", "4", "5"}, {"6"}} {
		err := sub.Subscribe(t.Context(), topics...)
		var hint *driver.HintError
		if !errors.As(err, &hint) || !strings.Contains(hint.Hint, "max_subscriptions") {
			t.Errorf("Subscribe to %q: %v", topics, err)
		}
	}
	if err := sub.Unsubscribe(t.Context(), "1", "2", "3", "4", "5"); err != nil {
		t.Fatal(err)
	}
	poll(t, "room", func() bool { return sub.Subscribe(t.Context(), "6") == nil })
}

// When a server's max_payload becomes smaller, what was accepted and is larger is
// lost, which is told, and what comes later is published.
func TestMaxPayloadLowered(t *testing.T) {
	for _, d := range []nats.Driver{{}, {JetStream: true}} {
		t.Run(d.Capabilities().Name, func(t *testing.T) {
			s := natsserver.Start(t, "max_payload: 20000\njetstream: {}")
			cfg := asUser(s)
			cfg.Params = map[string]string{"prefix": "p", "stream": "s"}
			r := newReader(t, d, cfg, "T")
			p := newWriter(t, d, cfg)
			publish(t, p, "T", "first", 15000)
			poll(t, "the first event", func() bool { return r.has("first") })
			before := r.synced("T")
			s.Reload("max_payload: 10000\njetstream: {}")
			err := p.Publish(t.Context(), wyvern.Event{Table: "t", Key: "large", Action: "set", Topic: "T", Value: strings.Repeat("x", 15000)})
			switch {
			case err == nil:
				poll(t, "a resync for the large one", func() bool { return r.synced("T") > before })
			case !errors.Is(err, wyvern.ErrTooLarge):
				t.Errorf("Publish: %v", err)
			}
			publish(t, p, "T", "small", 100)
			poll(t, "the small one", func() bool { return r.has("small") || r.synced("T") > before })
			publish(t, p, "T", "last", 100)
			poll(t, "the last one", func() bool { return r.has("last") })
			if r.has("large") {
				t.Error("max_payload was not lowered")
			}
		})
	}
}

// A stream that has no consumer for us is an error of Subscribe. The topic comes
// when it has one, which is told.
func TestNoConsumer(t *testing.T) {
	none := "jetstream: {}\naccounts: { A: { jetstream: { max_consumers: 1 }, users: [ { user: u, password: p%s } ] } }"
	for name, permissions := range map[string]string{
		"limit": "", "permission": `, permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } }`,
	} {
		t.Run(name, func(t *testing.T) {
			s := natsserver.Start(t, fmt.Sprintf(none, permissions))
			d := nats.Driver{JetStream: true}
			open := func() driver.Subscriber {
				t.Helper()
				sub, err := d.OpenSubscriber(t.Context(), asUser(s))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { sub.Close() })
				return sub
			}
			first, second := open(), open()
			if name == "limit" {
				if err := first.Subscribe(t.Context(), "T"); err != nil {
					t.Fatal(err)
				}
			}
			err := second.Subscribe(t.Context(), "T")
			var hint *driver.HintError
			if !errors.As(err, &hint) {
				t.Fatalf("Subscribe: %v, want an error with a hint", err)
			}
			first.Close()
			s.Reload(strings.ReplaceAll(fmt.Sprintf(none, ""), "max_consumers: 1", "max_consumers: 5"))
			got := make([]driver.Message, 1)
			if _, err := second.Receive(t.Context(), got); err != nil || got[0].Notice != driver.Confirmed || string(got[0].Topic) != "T" {
				t.Errorf("got %+v, %v, want that the topic is there", got, err)
			}
		})
	}
}
