package wyvern

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/envelope"
	"github.com/wyvern-pubsub/wyvern/internal/numbering"
)

// lossyCaps are of a driver that loses and does not notice anything.
var lossyCaps = driver.Capabilities{Name: "lossy", Ordered: true, Lossy: true, Filters: true}

// wire is a driver of one publisher and one subscriber. What drop says does not
// arrive.
type wire struct {
	fakePublisher
	sub  *fakeSubscriber
	caps driver.Capabilities

	mu     sync.Mutex
	source *driver.Source
	drop   func(m *driver.Message, f *envelope.Fields) bool
}

func newWire(caps driver.Capabilities) *wire {
	w := &wire{sub: newFakeSubscriber(), caps: caps, source: &driver.Source{}}
	w.discard = true
	w.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i := range msgs {
			var f envelope.Fields
			if err := envelope.Decode(msgs[i].Payload, &f); err != nil {
				return i, err
			}
			if w.drop == nil || !w.drop(&msgs[i], &f) {
				w.sub.put(driver.Message{
					Topic: slices.Clone(msgs[i].Topic), Payload: slices.Clone(msgs[i].Payload), Source: w.source,
				})
			}
		}
		return len(msgs), nil
	}
	return w
}

func (w *wire) dropping(drop func(m *driver.Message, f *envelope.Fields) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop = drop
}

func (w *wire) open(t *testing.T, handler func(context.Context, Event) error, topics ...string) (*Publisher, *Subscriber) {
	t.Helper()
	s, err := OpenSubscriber(t.Context(), SubscriberOptions{
		Driver: fakeDriver{caps: w.caps, sub: w.sub}, Handler: handler, Topics: topics,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.openPublisher(t), s
}

func (w *wire) openPublisher(t *testing.T) *Publisher {
	t.Helper()
	p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{caps: w.caps, pub: w}, ID: "server-1"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func publish(t *testing.T, p *Publisher, topic, key string) {
	t.Helper()
	e := setEvent(key)
	e.Topic = topic
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// settle lets what is told of a publisher that is heard for the first time be
// told, and forgets it.
func settle(r *recorder) {
	time.Sleep(2 * time.Second)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = nil
}

// The loss of a quiet topic's last event is noticed, also while the publisher
// is busy elsewhere.
func TestN2LastEventLost(t *testing.T) {
	for _, busy := range []bool{false, true} {
		t.Run(fmt.Sprintf("busy=%v", busy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				w := newWire(lossyCaps)
				p, s := w.open(t, r.handle, "quiet")
				defer s.Close()
				defer p.Close()
				publish(t, p, "quiet", "1")
				settle(r)
				struck := 0
				w.dropping(func(m *driver.Message, f *envelope.Fields) bool {
					lost := f.Key == "2"
					if lost {
						struck++
					}
					return lost
				})
				publish(t, p, "quiet", "2")
				began := time.Now()
				for time.Since(began) < 3*time.Second {
					if busy {
						publish(t, p, "busy", "x")
					}
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait()
				if struck != 1 {
					t.Fatalf("%d events were lost, want 1", struck)
				}
				wantTexts(t, r, "quiet!gap")
				time.Sleep(time.Hour)
				synctest.Wait()
				wantTexts(t, r, "quiet!gap")
			})
		})
	}
}

// A publisher that vanishes is told, and what was missed when it comes back.
func TestB4PublisherVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := newWire(lossyCaps)
		p, s := w.open(t, r.handle, "T")
		defer s.Close()
		defer p.Close()
		publish(t, p, "T", "1")
		settle(r)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantTexts(t, r)
		w.dropping(func(*driver.Message, *envelope.Fields) bool { return true })
		publish(t, p, "T", "2")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantTexts(t, r, "T!publisher lost")
		time.Sleep(time.Hour)
		publish(t, p, "T", "3")
		time.Sleep(50 * time.Second) // its frequent beacons are lost, too
		w.dropping(nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantTexts(t, r, "T!publisher lost", "T!gap")
	})
}

// Drivers that don't say who sends: a restart is seen by the epoch.
func TestRestartUnnamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := newWire(lossyCaps)
		p, s := w.open(t, r.handle, "T", "U")
		defer s.Close()
		publish(t, p, "T", "1")
		settle(r)
		p.Close()
		p = w.openPublisher(t)
		defer p.Close()
		publish(t, p, "T", "2")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		got := r.texts()
		slices.Sort(got)
		if want := []string{"T!new publisher incarnation", "U!new publisher incarnation"}; !slices.Equal(got, want) {
			t.Errorf("the handler got %q, want %q, which cover the event", got, want)
		}
	})
}

// A driver that loses nothing and notices everything gets neither beacons nor
// beats.
func TestNoBeacons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := &fakePublisher{}
		p := openFakePublisher(t, half)
		publish(t, p, "T", "1")
		time.Sleep(time.Hour)
		if n := len(half.all()); n != 1 {
			t.Errorf("%d messages", n)
		}
		p.Close()
	})
}

func TestBeaconMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := &fakePublisher{}
		caps := lossyCaps
		caps.Liveness = true
		p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Driver = fakeDriver{pub: half, caps: caps} })
		publish(t, p, "T", "1")
		time.Sleep(5 * time.Second)
		got := half.all()
		if len(got) != 5 {
			t.Fatalf("%d messages in 5 s, want an event and 4 beacons", len(got))
		}
		want := envelope.Fields{
			Action: actionBeacon, Topic: "T", Epoch: p.Epoch(), Seq: 1, Null: envelope.Table | envelope.Key | envelope.Value,
		}
		for _, m := range got[1:] {
			if m.topic != "T" || m.Fields != want {
				t.Errorf("beacon %+v", m)
			}
		}
		p.Close()
		p.Close()
	})
}

// Whoever closes a publisher ends a beacon that is blocked in the driver.
func TestCloseEndsBeacons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlockedPublisher()
		p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: b, caps: lossyCaps}})
		if err != nil {
			t.Fatal(err)
		}
		<-b.entered // a beat
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What the product says to itself, users can't.
func TestReserved(t *testing.T) {
	p := openFakePublisher(t, &fakePublisher{})
	s := openFakeSubscriber(t, newFakeSubscriber(), (&recorder{}).handle)
	for _, err := range []error{
		p.Publish(t.Context(), Event{Action: ActionSet, Topic: topicBeats}),
		p.Publish(t.Context(), Event{Action: actionBeacon, Topic: "T"}),
		s.Subscribe(t.Context(), topicBeats),
	} {
		if !errors.Is(err, ErrInvalidEvent) {
			t.Errorf("error %v", err)
		}
	}
	if _, _, bad, err := p.forward(t.Context(), []driver.Message{message(topicBeats, setEvent("1"))}); bad == nil || err != nil {
		t.Errorf("forwarded: %v, %v", bad, err)
	}
}

// When a topic's numbers are used up its events are refused.
func TestS5NumbersExhausted(t *testing.T) {
	half := &fakePublisher{}
	p := openFakePublisher(t, half)
	p.book.Restore(math.MaxUint64-1, nil)
	publish(t, p, "T", "1")
	e := setEvent("2")
	e.Topic = "T"
	if err := p.Publish(t.Context(), e); !errors.Is(err, numbering.ErrExhausted) {
		t.Errorf("error %v", err)
	}
	if _, _, bad, err := p.forward(t.Context(), []driver.Message{message("T", e)}); !errors.Is(bad, numbering.ErrExhausted) || err != nil {
		t.Errorf("forwarded: %v, %v", bad, err)
	}
	if got := half.seqs("T"); !slices.Equal(got, []uint64{math.MaxUint64}) {
		t.Errorf("numbers %v", got)
	}
}

// Ten million topics take as much memory as the quota allows.
func TestS6MemoryOfTopics(t *testing.T) {
	topics := 10_000_000
	if raceEnabled || testing.Short() {
		topics = 600_000
	}
	p := openFakePublisher(t, &fakePublisher{discard: true})
	name := []byte("topic-0000000000")
	payload := body(setEvent("1"))
	batch := make([]driver.Message, 0, maxBatch)
	names := make([]byte, 0, maxBatch*len(name))
	highest := uint64(0)
	for i := 0; i < topics; {
		batch, names = batch[:0], names[:0]
		for ; len(batch) < cap(batch) && i < topics; i++ {
			for at, n := len(name)-1, i; n > 0; at, n = at-1, n/10 {
				name[at] = '0' + byte(n%10)
			}
			names = append(names, name...)
			batch = append(batch, driver.Message{Topic: names[len(names)-len(name):], Payload: payload})
		}
		if n, _, bad, err := p.forward(t.Context(), batch); n != len(batch) || bad != nil || err != nil {
			t.Fatal(n, bad, err)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 150<<20 {
		t.Errorf("%d MB in use after %d topics", m.HeapAlloc>>20, topics)
	}
	if n := p.book.Len(); n > defaultTopics {
		t.Errorf("%d topics remembered", n)
	}
	highest = p.book.Floor()
	if s := p.book.Begin(strings.Repeat("0", 16)); s.Last() < highest {
		t.Errorf("a new topic begins at %d, and %d was forgotten", s.Last(), highest)
	}
	t.Logf("%d MB in use, floor %d", m.HeapAlloc>>20, highest)
	runtime.KeepAlive(p)
}

// What beacons cost with 100,000 quiet topics: one round of a tick sends about
// 220 of them.
func BenchmarkBeaconRound(b *testing.B) {
	half := &fakePublisher{discard: true}
	sent := 0
	half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
		sent += len(msgs)
		return len(msgs), nil
	}
	caps := lossyCaps
	caps.Liveness = true
	p, err := newPublisher(half, "fake", driver.Network, caps, driver.Config{Epoch: 1}.WithDefaults(), 1<<20, defaultTopics, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for i := range 100_000 {
		if err := p.Publish(b.Context(), Event{Action: ActionSet, Topic: fmt.Sprint("topic", i)}); err != nil {
			b.Fatal(err)
		}
	}
	for range 1000 {
		p.beacon.ticks++
		p.beacon.round(p, false)
	}
	sent = 0
	b.ReportAllocs()
	for b.Loop() {
		p.beacon.ticks++
		p.beacon.round(p, false)
	}
	b.ReportMetric(float64(sent)/float64(b.N), "beacons/op")
}

// A publisher that ends in order is not told as lost, and what only now can be
// known to be missing is; its successor goes on without a resync.
func TestFarewell(t *testing.T) {
	quiet := driver.Capabilities{Name: "quiet", Ordered: true, Filters: true}
	for _, caps := range []driver.Capabilities{lossyCaps, quiet} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lost=%v", caps.Name, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := &recorder{}
					w := newWire(caps)
					p, s := w.open(t, r.handle, "T")
					defer s.Close()
					publish(t, p, "T", "1")
					settle(r)
					w.dropping(func(m *driver.Message, f *envelope.Fields) bool { return lost && f.Key == "2" })
					publish(t, p, "T", "2")
					if err := p.Shutdown(t.Context()); err != nil {
						t.Fatal(err)
					}
					var left bytes.Buffer
					if err := p.Save(&left); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					want := "T/2"
					if lost {
						want = "T!gap"
					}
					wantTexts(t, r, want)
					p, err := OpenPublisher(t.Context(), PublisherOptions{
						Driver: fakeDriver{caps: w.caps, pub: w}, ID: "server-1", Restore: &left,
					})
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					publish(t, p, "T", "3")
					time.Sleep(10 * time.Second)
					synctest.Wait()
					wantTexts(t, r, want, "T/3")
					p.Close()
					time.Sleep(5 * time.Second)
					synctest.Wait()
					wantTexts(t, r, want, "T/3", "T!publisher lost")
				})
			})
		}
	}
}

// Nobody has to resync because somebody new came, and went.
func TestFreshPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := newWire(lossyCaps)
		old, s := w.open(t, r.handle, "T", "U")
		defer s.Close()
		defer old.Close()
		settle(r)
		for _, key := range []string{"1", "2"} {
			p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{caps: w.caps, pub: w}})
			if err != nil {
				t.Fatal(err)
			}
			publish(t, p, "T", key)
			if err := p.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		wantTexts(t, r, "T/1", "T/2")
	})
}
