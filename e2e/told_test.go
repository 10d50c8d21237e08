//go:build linux

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// tuned is a node of ours in this process that connects again and resyncs soon,
// and may have other options.
func tuned(t testing.TB, name string, uris, topics []string, edit func(*wyvern.SubscriberOptions)) *subscriber {
	t.Helper()
	s := &subscriber{inbox: newInbox(name)}
	o := wyvern.SubscriberOptions{
		Alias: "zmq_pubsub_driver", Topics: topics, Connect: uris,
		Handler: func(_ context.Context, e wyvern.Event) error { s.put(fromEvent(e)); return nil },
	}
	o.Config.HeartbeatInterval, o.Config.HeartbeatTimeout = 100*time.Millisecond, 3*time.Second
	o.Config.LostAfter = 10 * time.Second // a machine that is busy is not a publisher that is gone
	o.Config.ReconnectMin, o.Config.ReconnectMax = 10*time.Millisecond, 100*time.Millisecond
	o.Config.ResyncSpread = 100 * time.Millisecond
	if edit != nil {
		edit(&o)
	}
	var err error
	if s.Subscriber, err = wyvern.OpenSubscriber(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := s.Await(ctx); err != nil {
		t.Fatalf("node %s: %v", name, err)
	}
	return s
}

// checkTold judges a node of ours by the numbers of what it got on a topic: none
// twice or after a later one, and none missing, in an epoch or between two,
// without a resync in its place. It returns how many were missing within epochs.
func checkTold(t testing.TB, in *inbox, topic string) (missing uint64) {
	t.Helper()
	last := map[uint64]uint64{} // by epoch
	before, told := uint64(0), true
	for _, e := range in.events() {
		switch {
		case e.topic() != topic || e.Seq == 0 && e.Reason == "":
			continue
		case e.Reason != "":
			told = true
			continue
		case last[e.Epoch] >= e.Seq:
			t.Errorf("node %s, %s: number %d after %d", in.name, topic, e.Seq, last[e.Epoch])
		case last[e.Epoch] != 0 && e.Seq != last[e.Epoch]+1:
			missing += e.Seq - last[e.Epoch] - 1
			fallthrough
		case before != 0 && e.Epoch != before:
			if !told {
				t.Errorf("node %s, %s: number %d of epoch %x after %d of %x, and nothing was told", in.name, topic, e.Seq, e.Epoch, last[before], before)
			}
		}
		last[e.Epoch], before, told = e.Seq, e.Epoch, false
	}
	return missing
}

// checkWorker judges a node by the numbers that a worker gave: what is missing
// between two events is covered by an order to sync that comes after the first;
// before the second too, where strict. It returns how many are missing.
func checkWorker(t testing.TB, in *inbox, worker, topic string, strict bool) (missing int) {
	t.Helper()
	last, due, synced := -1, 0, false // synced: since the last event
	for _, e := range in.events() {
		if e.action() == "sync" && e.topic() == topic {
			synced, due = true, 0
		}
		name, number, ok := e.worker()
		if !ok || name != worker {
			continue
		}
		if number <= last {
			t.Errorf("node %s, worker %s: event %d after %d", in.name, worker, number, last)
		}
		if gap := number - last - 1; gap > 0 {
			missing += gap
			if !synced {
				due += gap
			}
			if strict && !synced {
				t.Errorf("node %s, worker %s: %d events are missing before %d, and nothing was told", in.name, worker, gap, number)
			}
		}
		last, synced = number, false
	}
	if due > 0 {
		t.Errorf("node %s, worker %s: %d events are missing, and nothing was told since", in.name, worker, due)
	}
	return missing
}

// wantNoResync fails if a node of ours was told to resync.
func wantNoResync(t testing.TB, in *inbox) {
	t.Helper()
	if told := resyncs(in); len(told) > 0 {
		t.Errorf("node %s was told to resync: %v", in.name, told)
	}
}
