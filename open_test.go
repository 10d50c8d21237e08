package wyvern

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func init() {
	driver.Register(driver.Alias{
		Name:    "fake",
		Network: driver.Part{Driver: fakeDriver{pub: &fakePublisher{}}, Roles: driver.Publishes},
	})
}

func TestAlias(t *testing.T) {
	p, err := OpenPublisher(t.Context(), PublisherOptions{Alias: "fake"})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	for name, open := range map[string]func() error{
		"unknown": func() error {
			_, err := OpenPublisher(t.Context(), PublisherOptions{Alias: "fale"})
			return err
		},
		"nothing": func() error {
			_, err := OpenPublisher(t.Context(), PublisherOptions{})
			return err
		},
		"other hop": func() error {
			_, err := OpenPublisher(t.Context(), PublisherOptions{Alias: "fake", Hop: driver.IPC})
			return err
		},
		"other role": func() error {
			_, err := OpenSubscriber(t.Context(), SubscriberOptions{Alias: "fake", Handler: (&recorder{}).handle})
			return err
		},
		"relay": func() error {
			_, err := OpenRelay(t.Context(), RelayOptions{Alias: "fake", Publisher: p})
			return err
		},
	} {
		err := open()
		hint, ok := errors.AsType[*driver.HintError](err)
		if !ok || hint.Hint == "" {
			t.Errorf("%s: error %v has no hint", name, err)
		}
		if e, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(e.Op, "open ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	trouble := driver.WithHint(errors.New("the port is in use"), "choose another")
	_, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{err: trouble}})
	if want := "open publisher: fake: the port is in use"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if hint, ok := errors.AsType[*driver.HintError](err); !ok || hint.Hint != "choose another" {
		t.Errorf("the hint is lost: %v", err)
	}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		`publish "T": zmq network: closed`:       {"publish", "zmq network", "T", ErrClosed},
		`publish "a` + "\uFFFD" + `": x: closed`: {"publish", "x", "a\xff", ErrClosed},
		`flush: closed`:                          {"flush", "", "", ErrClosed},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	once := wrap("publish", "x", "T", ErrClosed)
	if wrap("relay", "y", "", once) != once {
		t.Error("wrapped twice")
	}
	if again := wrap("relay", "y", "", fmt.Errorf("more: %w", once)); !errors.Is(again, ErrClosed) {
		t.Error("the cause is lost")
	}
	if wrap("publish", "x", "T", nil) != nil {
		t.Error("nil was wrapped")
	}
}
