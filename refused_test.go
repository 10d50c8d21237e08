package wyvern

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// refuse makes a half refuse topics of which denied says so.
func refuse(half *fakePublisher, denied func(topic string) bool) {
	half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
		n := slices.IndexFunc(msgs, func(m driver.Message) bool { return denied(string(m.Topic)) })
		if n < 0 {
			return len(msgs), nil
		}
		return n, driver.WithHint(fmt.Errorf("%w: topic %s", driver.ErrRefused, msgs[n].Topic), "ask for permission")
	}
}

// A topic that the broker refuses stops no other. Everybody is told, at most
// once a second, as soon as anybody can be.
func TestRelayRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half, all := newFakeSubscriber(), &fakePublisher{}, atomic.Bool{}
		refuse(half, func(topic string) bool { return topic == "secret" || all.Load() })
		r := openFakeRelay(t, source, openFakePublisher(t, half))
		done := startRelay(t, t.Context(), r)
		source.put(message("a", setEvent("1")), message("secret", setEvent("2")), message("a", setEvent("3")), message("secret", setEvent("4")))
		synctest.Wait()
		if got := half.seqs("a"); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("numbers %v", got)
		}
		wantSyncs(t, half, TopicAll)
		if got := r.Stats(); got != (RelayStats{Events: 2, Refused: 2, Syncs: 1}) {
			t.Errorf("stats %+v", got)
		}
		if got := r.Status(); got.Malformed != 2 {
			t.Errorf("status %+v", got)
		}
		all.Store(true)
		source.put(message(TopicAll, setEvent("5")))
		time.Sleep(10 * syncInterval)
		wantSyncs(t, half, TopicAll)
		all.Store(false)
		time.Sleep(2 * syncInterval)
		wantSyncs(t, half, TopicAll, TopicAll)

		// A drain does not wait for what is refused.
		all.Store(true)
		source.put(message("a", setEvent("6")))
		synctest.Wait()
		drainer{source}.Drain()
		began := time.Now()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took > 10*syncInterval {
			t.Errorf("the drain took %v", took)
		}
	})
}

// A publisher of which nobody would hear that it lives is not opened.
func TestRefusedBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := &fakePublisher{}
		refuse(half, func(topic string) bool { return topic == topicBeats })
		_, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half, caps: lossyCaps}})
		var hint *driver.HintError
		if !errors.Is(err, ErrRefused) || !errors.As(err, &hint) {
			t.Errorf("got %v, want that the topic of beats is refused, with a hint", err)
		}
		if half.closed != 1 {
			t.Errorf("the half was closed %d times", half.closed)
		}
	})
}

// When a topic comes to be refused behind an event that was accepted, the event
// may be lost, and its holders can't be told: so everybody is, once.
func TestRefusedBeacon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, log, later := &fakePublisher{}, &logBook{}, atomic.Bool{}
		refuse(half, func(topic string) bool { return topic == "T" && later.Load() })
		caps := lossyCaps
		p := openFakePublisher(t, half, func(o *PublisherOptions) {
			o.Driver, o.Log = fakeDriver{pub: half, caps: caps}, log.logger()
		})
		publish(t, p, "T", "1")
		publish(t, p, "U", "1")
		later.Store(true)
		time.Sleep(time.Hour)
		wantSyncs(t, half, TopicAll)
		beats, beacons := 0, 0
		for _, m := range half.all() {
			switch m.topic {
			case topicBeats:
				beats++
			case "U":
				beacons++
			}
		}
		if beats < 3590 || beacons < 60 {
			t.Errorf("%d beats and %d beacons in an hour", beats, beacons)
		}
		if log.lines("the broker refuses") == nil {
			t.Error("it is not logged")
		}
		p.Close()
	})
}

// pipeline is a half that has sent all of a batch when it hears that the broker
// refused a topic.
type pipeline struct{ fakePublisher }

func (p *pipeline) Publish(ctx context.Context, msgs []driver.Message) (n int, err error) {
	n = len(msgs)
	for i, m := range msgs {
		if string(m.Topic) == "secret" {
			n = min(n, i)
			continue
		}
		if _, err := p.fakePublisher.Publish(ctx, msgs[i:i+1]); err != nil {
			return n, err
		}
	}
	if n == len(msgs) {
		return n, nil
	}
	return n, fmt.Errorf("%w: %w", driver.ErrRefused, driver.ErrUnsure)
}

// What went behind a message that was refused does not go twice.
func TestRelayRefusedAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &pipeline{}
		p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		r := openFakeRelay(t, source, p)
		startRelay(t, t.Context(), r)
		var msgs []driver.Message
		var want []string
		for i := range 50 {
			msgs = append(msgs, message("a", setEvent(fmt.Sprint(i))), message("secret", setEvent("x")))
			want = append(want, fmt.Sprint(i, " ", i+1))
		}
		source.put(msgs...)
		synctest.Wait()
		var got []string
		for _, s := range half.all() {
			if s.topic == "a" {
				got = append(got, fmt.Sprint(s.Key, " ", s.Seq))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		wantSyncs(t, &half.fakePublisher, TopicAll)
		r.Close()
	})
}
