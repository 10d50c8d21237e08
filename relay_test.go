package wyvern

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func openFakeRelay(t testing.TB, source driver.Subscriber, p *Publisher, edit ...func(*RelayOptions)) *Relay {
	t.Helper()
	o := RelayOptions{Driver: fakeDriver{sub: source}, Publisher: p}
	for _, f := range edit {
		f(&o)
	}
	r, err := OpenRelay(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r.rejectLog.Burst, r.retryLog.Burst = 1, 1 // so that few messages show what is suppressed
	t.Cleanup(func() { r.Close() })
	return r
}

// startRelay runs a relay and returns what Run does.
func startRelay(t testing.TB, ctx context.Context, r *Relay) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return done
}

func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Epoch = 77 })
		var cfg driver.Config
		r := openFakeRelay(t, source, p, func(o *RelayOptions) { o.Driver = fakeDriver{sub: source, cfg: &cfg} })
		if !cfg.AllTopics {
			t.Error("the source was not opened for all topics")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := startRelay(t, ctx, r)
		forged := setEvent("1")
		forged.Epoch, forged.Seq, forged.Version = 1, 1000, 3
		source.put(message("a", forged), message("b", setEvent("2")), message("a", setEvent("3")))
		synctest.Wait()
		if err := p.Publish(t.Context(), Event{Action: "set", Topic: "a", Key: "4"}); err != nil {
			t.Error(err)
		}
		source.put(message("a", setEvent("5")))
		synctest.Wait()
		var got []string
		for _, s := range half.all() {
			got = append(got, fmt.Sprintf("%s %s %d %d", s.topic, s.Key, s.Epoch, s.Seq))
		}
		if want := []string{"a 1 77 1", "b 2 77 1", "a 3 77 2", "a 4 77 3", "a 5 77 4"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		forged.Topic, forged.Epoch, forged.Seq = "a", 77, 1
		if !bytes.Equal(half.bodies[0], body(forged)) {
			t.Errorf("the body was changed: %q", half.bodies[0])
		}
		if err := r.Run(ctx); err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("a second Run: %v", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if got := r.Stats(); got != (RelayStats{Events: 4}) {
			t.Errorf("stats %+v", got)
		}
		if got := r.Status(); got.Messages != 4 || got.Bytes == 0 {
			t.Errorf("status %+v", got)
		}
	})
}

// When a topic's numbers are used up its events are refused, and who holds it is told
// all the same, by a sync without a number; also who holds everybody's.
func TestS5UsedUpIsTold(t *testing.T) {
	for _, topic := range []string{"T", TopicAll} {
		synctest.Test(t, func(t *testing.T) {
			source, half := newFakeSubscriber(), &fakePublisher{}
			p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Epoch = 77 })
			p.book.Restore(math.MaxUint64-1, nil)
			r := openFakeRelay(t, source, p)
			done := startRelay(t, t.Context(), r)
			source.put(message(topic, setEvent("1")), message(topic, setEvent("2")), message(topic, setEvent("3")))
			time.Sleep(2 * syncInterval)
			source.put(message(topic, setEvent("4")))
			synctest.Wait()
			var got []string
			for _, s := range half.all() {
				got = append(got, fmt.Sprintf("%s %s %s %d %d", s.topic, s.Key, s.Action, s.Epoch, s.Seq))
			}
			last := topic + " 1 set 77 18446744073709551615"
			if want := []string{last, topic + "  sync 0 0", topic + "  sync 0 0"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if st := r.Stats(); st.Malformed != 3 || st.Syncs != 2 || st.Pending != 0 {
				t.Errorf("stats %+v", st)
			}
			r.Close()
			<-done
		})
	}
}

// Numbers that a worker puts into its events, in whatever form and place, are
// replaced by the service's, and those of others don't suffer.
func TestX5ForgedNumbers(t *testing.T) {
	five := []string{"a57461626c65 a174", "a36b6579 a16b", "a6616374696f6e a3736574", "a576616c7565 c0", "a5746f706963 a144"}
	const epoch, seq = "a565706f6368 ", "a3736571 "
	forgeries := [][]string{
		nil,
		{epoch + "cf0000000000000007", seq + "cf0000000000000009"}, // as we write them
		{epoch + "07", seq + "09"},
		{seq + "cfffffffffffffffff", epoch + "cfffffffffffffffff"},
		{epoch + "cf000000000000004d", seq + "cf0000000000000001"}, // the service's own
		{epoch + "4d"}, {seq + "01"},
		{epoch + "00", seq + "00"},
		{epoch + "ff", seq + "d3ffffffffffffffff"}, // -1
		{epoch + "c0", seq + "c0"},
		{epoch + "a137", seq + "cb4022000000000000"}, // text, 9.0
		{epoch + "93010203", seq + "81a165c0"},
		{"c40565706f6368 07", "c403736571 09"}, // the keys as bytes
	}
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Epoch = 77 })
		r := openFakeRelay(t, source, p)
		done := startRelay(t, t.Context(), r)
		count := 0
		for _, forged := range forgeries {
			for at := range len(five) + 1 { // before, between and behind the five
				entries := slices.Concat(five[:at], forged, five[at:])
				text := strings.ReplaceAll(strings.Join(entries, ""), " ", "")
				body, err := hex.DecodeString(fmt.Sprintf("%02x", 0x80|len(entries)) + text)
				if err != nil {
					t.Fatal(err)
				}
				source.put(driver.Message{Topic: []byte("D"), Payload: body})
				count++
			}
		}
		synctest.Wait()
		got := half.all()
		for i, s := range got {
			if s.Epoch != 77 || s.Seq != uint64(i+1) || s.Key != "k" || s.Action != ActionSet {
				t.Errorf("event %d is %+v", i, s.Fields)
			}
			if n := bytes.Count(half.bodies[i], []byte("epoch")); n != 1 {
				t.Errorf("event %d has %d epochs", i, n)
			}
		}
		if st := r.Stats(); len(got) != count || st.Malformed != 0 {
			t.Errorf("%d of %d events, %+v", len(got), count, st)
		}
		r.Close()
		<-done
	})
}

// syncsOf returns on which topics a sync was published.
func syncsOf(half *fakePublisher) (topics []string) {
	for _, s := range half.all() {
		if s.Action == ActionSync {
			topics = append(topics, s.topic)
		}
	}
	slices.Sort(topics)
	return topics
}

func wantSyncs(t *testing.T, half *fakePublisher, want ...string) {
	t.Helper()
	if got := syncsOf(half); !slices.Equal(got, want) {
		t.Errorf("syncs on %q, want %q", got, want)
	}
}

func TestRelayMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half, log := newFakeSubscriber(), &fakePublisher{}, &logBook{}
		p := openFakePublisher(t, half)
		r := openFakeRelay(t, source, p, func(o *RelayOptions) { o.Log = log.logger() })
		done := startRelay(t, t.Context(), r)

		source.put(message("a", setEvent("1")), malformed("a"), malformed("b"), message("a", setEvent("2")), malformed("a"), malformed("\xff"))
		synctest.Wait()
		wantSyncs(t, half, "a", "b") // at once
		if got := half.seqs("a"); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("numbers %v", got)
		}
		last := half.all()[len(half.all())-1]
		if last.Action != ActionSync || last.Fields.Topic != "" || last.Epoch != p.Epoch() {
			t.Errorf("a sync is %+v", last)
		}
		time.Sleep(syncInterval / 2)
		source.put(malformed("a"), malformed("a"))
		synctest.Wait()
		source.put(malformed("a"))
		synctest.Wait()
		wantSyncs(t, half, "a", "b") // deferred
		if got := r.Stats().Pending; got != 1 {
			t.Errorf("%d pending", got)
		}
		time.Sleep(syncInterval/2 - time.Millisecond)
		wantSyncs(t, half, "a", "b")
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		wantSyncs(t, half, "a", "a", "b") // but not dropped
		time.Sleep(10 * syncInterval)
		wantSyncs(t, half, "a", "a", "b")

		if got := r.Stats(); got != (RelayStats{Events: 2, Malformed: 6, BadTopics: 1, Syncs: 3}) {
			t.Errorf("stats %+v", got)
		}
		if got := log.lines("event refused"); len(got) != 1 || !strings.Contains(got[0], "fake://bad") {
			t.Errorf("log %q", got)
		}
		source.put(malformed("a"))
		synctest.Wait()
		if got := log.lines("event refused"); len(got) != 2 || !strings.Contains(got[1], "suppressed=6") {
			t.Errorf("log %q", got)
		}
		r.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Run: %v", err)
		}
	})
}

// Past so many topics everybody is told.
func TestRelayManyMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		r := openFakeRelay(t, source, openFakePublisher(t, half))
		startRelay(t, t.Context(), r)
		for i := range maxSyncs + 10 {
			source.put(malformed(fmt.Sprint(i)))
		}
		synctest.Wait()
		got := syncsOf(half)
		if len(got) != maxSyncs+1 || got[maxSyncs] != TopicAll {
			t.Errorf("%d syncs, the last on %q", len(got), got[len(got)-1])
		}
		if got := len(r.syncs.topics); got != maxSyncs+1 {
			t.Errorf("%d topics are remembered", got)
		}
		// After a while there is room again.
		time.Sleep(2 * syncInterval)
		source.put(malformed("another"))
		synctest.Wait()
		if got := syncsOf(half); len(got) != maxSyncs+2 || got[maxSyncs+1] != "another" {
			t.Errorf("%d syncs, the last on %q", len(got), got[len(got)-1])
		}
		r.Close()
	})
}

func TestRelayTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		// One by the configured limit, one by what the driver says.
		half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
			for i, m := range msgs {
				if len(m.Payload) > 500 {
					return i, driver.ErrTooLarge
				}
			}
			return len(msgs), nil
		}
		p := openFakePublisher(t, half, func(o *PublisherOptions) { o.Config.MaxPayload = 1000 })
		r := openFakeRelay(t, source, p)
		startRelay(t, t.Context(), r)
		large := func(size int) Event {
			return Event{Action: "set", Key: "large", Value: strings.Repeat("x", size)}
		}
		source.put(message("a", setEvent("1")), message("a", large(600)), message("a", setEvent("2")), message("a", large(1100)), message("a", setEvent("3")))
		synctest.Wait()
		if got := half.seqs("a"); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
			t.Errorf("numbers %v", got)
		}
		wantSyncs(t, half, "a")
		if got := r.Stats(); got != (RelayStats{Events: 3, TooLarge: 2, Syncs: 1}) {
			t.Errorf("stats %+v", got)
		}
		r.Close()
	})
}

// A publisher in trouble gets the same events again, under the same numbers.
func TestRelayRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		failures := 3
		half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
			if failures > 0 {
				failures--
				return len(msgs) / 2, errors.New("trouble")
			}
			return len(msgs), nil
		}
		r := openFakeRelay(t, source, openFakePublisher(t, half))
		startRelay(t, t.Context(), r)
		for i := range 20 {
			source.put(message("a", setEvent(fmt.Sprint(i))))
		}
		source.put(malformed("a"))
		time.Sleep(time.Minute)
		for i, s := range half.all()[:20] {
			if s.Key != fmt.Sprint(i) || s.Seq != uint64(i+1) {
				t.Errorf("event %d is %s, number %d", i, s.Key, s.Seq)
			}
		}
		if got := r.Stats(); got != (RelayStats{Events: 20, Malformed: 1, Syncs: 1}) {
			t.Errorf("stats %+v", got)
		}
		r.Close()
	})
}

// A sync that can't be published stays pending.
func TestRelaySyncRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, half := newFakeSubscriber(), &fakePublisher{}
		failures := 3
		half.accept = func(_ context.Context, msgs []driver.Message) (int, error) {
			if failures > 0 {
				failures--
				return 0, errors.New("trouble")
			}
			return len(msgs), nil
		}
		r := openFakeRelay(t, source, openFakePublisher(t, half))
		startRelay(t, t.Context(), r)
		source.put(malformed("a"))
		synctest.Wait()
		if got := r.Stats(); got.Syncs != 0 || got.Pending != 1 {
			t.Errorf("stats %+v", got)
		}
		time.Sleep(10 * syncInterval)
		wantSyncs(t, half, "a")
		if got := r.Stats(); got.Syncs != 1 || got.Pending != 0 {
			t.Errorf("stats %+v", got)
		}
		r.Close()
	})
}

func TestRelayDrain(t *testing.T) {
	for _, native := range []bool{true, false} {
		t.Run(fmt.Sprint(native), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, half := newFakeSubscriber(), &fakePublisher{}
				var source driver.Subscriber = fake
				if native {
					source = drainer{fake}
				}
				r := openFakeRelay(t, source, openFakePublisher(t, half))
				done := startRelay(t, t.Context(), r)
				synctest.Wait()
				fake.put(malformed("a"))
				synctest.Wait()
				for i := range 3 * maxBatch {
					fake.put(message("b", setEvent(fmt.Sprint(i))))
				}
				fake.put(malformed("a"))
				r.Drain()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				if got := len(half.seqs("b")); got != 3*maxBatch {
					t.Errorf("%d events, want %d", got, 3*maxBatch)
				}
				wantSyncs(t, half, "a", "a") // what was deferred is told before the end
			})
		})
	}
}

func TestRelayEnds(t *testing.T) {
	t.Run("source closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := newFakeSubscriber()
			r := openFakeRelay(t, source, openFakePublisher(t, &fakePublisher{}))
			done := startRelay(t, t.Context(), r)
			synctest.Wait()
			source.Close()
			if err := <-done; !errors.Is(err, ErrClosed) {
				t.Errorf("Run: %v", err)
			}
		})
	})
	t.Run("publisher closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, log := newFakeSubscriber(), &logBook{}
			p := openFakePublisher(t, &fakePublisher{})
			r := openFakeRelay(t, source, p, func(o *RelayOptions) { o.Log = log.logger() })
			done := startRelay(t, t.Context(), r)
			synctest.Wait()
			p.Close()
			source.put(message("a", setEvent("1")), message("a", setEvent("2")))
			if err := <-done; !errors.Is(err, ErrClosed) {
				t.Errorf("Run: %v", err)
			}
			if got := r.Stats().Abandoned; got != 2 || len(log.lines("events=2")) != 1 {
				t.Errorf("%d abandoned, log %q", got, log.lines(""))
			}
		})
	})
	t.Run("receive errors", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, half := newFakeSubscriber(), &fakePublisher{}
			r := openFakeRelay(t, source, openFakePublisher(t, half))
			startRelay(t, t.Context(), r)
			source.edit(func() { source.errs = []error{errors.New("trouble"), errors.New("trouble")} })
			time.Sleep(10 * time.Second)
			source.put(message("a", setEvent("1")))
			synctest.Wait()
			if got := half.seqs("a"); len(got) != 1 {
				t.Errorf("numbers %v", got)
			}
			r.Close()
			if err := r.Run(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("Run after Close: %v", err)
			}
			if !source.closed {
				t.Error("the source was not closed")
			}
		})
	})
}

func TestOpenRelayFails(t *testing.T) {
	if _, err := OpenRelay(t.Context(), RelayOptions{Driver: fakeDriver{}}); err == nil {
		t.Error("a relay without a publisher was opened")
	}
}

func TestRelayAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	source := newEndless(0)
	p := openFakePublisher(t, &fakePublisher{discard: true})
	r := openFakeRelay(t, source, p)
	ctx := t.Context()
	run, wakeable, err := r.begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.end()
	if n := testing.AllocsPerRun(100, func() {
		source.left = maxBatch
		n, err := r.receive(run, wakeable)
		if n != maxBatch || err != nil {
			t.Fatal(n, err)
		}
		if err := r.move(run, r.batch[:n]); err != nil {
			t.Fatal(err)
		}
		if err := r.tell(run, time.Now()); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d events", n, maxBatch)
	}
}

func BenchmarkRelay(b *testing.B) {
	source := newEndless(b.N)
	source.draining = true
	b.SetBytes(int64(len(source.batch[0].Payload)))
	b.ReportAllocs()
	r := openFakeRelay(b, source, openFakePublisher(b, &fakePublisher{discard: true}))
	if err := r.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	if got := r.Stats().Events; got != uint64(b.N) {
		b.Fatalf("%d events of %d", got, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
