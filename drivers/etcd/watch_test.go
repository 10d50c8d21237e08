package etcd

import (
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

func kv(revision int64) *mvccpb.KeyValue { return &mvccpb.KeyValue{ModRevision: revision} }

// A response may come in pieces, and the connection go between two of them, in
// the middle of a revision.
func TestWatchResumesWithinRevision(t *testing.T) {
	var w watch
	w.place(4)
	take := func(revisions ...int64) (taken []int64) {
		for _, r := range revisions {
			if w.takes(kv(r)) {
				taken = append(taken, r)
			}
		}
		return taken
	}
	want := func(got []int64, want string, next int64) {
		t.Helper()
		if fmt.Sprint(got) != want || w.next != next {
			t.Errorf("took %v, next %d; want %s, %d", got, w.next, want, next)
		}
	}
	want(take(3, 4), "[]", 5) // before it was held
	want(take(5, 5), "[5 5]", 5)
	w.complete()
	want(nil, "[]", 6)
	want(take(6, 8, 8), "[6 8 8]", 8) // a piece; the next one is lost
	w.renew()
	want(take(8, 8, 8, 9), "[8 9]", 9)
	w.complete()
	w.renew()
	want(take(), "[]", 10)
}

// A notification of progress counts only if it was made after the watch.
func TestWatchProgress(t *testing.T) {
	for _, c := range []struct {
		name           string
		born, progress int64
		want           int64
	}{
		{"made before, or just then", 9, 9, 5},
		{"made before", 9, 7, 5},
		{"made after", 9, 10, 11},
		{"old", 1, 3, 5},
	} {
		var w watch
		w.place(4)
		w.born = c.born
		if w.progress(c.progress); w.next != c.want {
			t.Errorf("%s: next %d, want %d", c.name, w.next, c.want)
		}
	}
}

func TestSound(t *testing.T) {
	for version, want := range map[string]bool{
		"3.3.27": false, "3.4.24": false, "3.4.25": true, "3.5.7": false, "3.5.8": true, "3.6.0": true, "3.7.3": true,
		"3.6.0-rc.1": true, "4.0.0": true, "": false, "new": false,
	} {
		if sound(version) != want {
			t.Errorf("%q: got %v", version, !want)
		}
	}
}

func TestRangeEnd(t *testing.T) {
	for prefix, want := range map[string]string{"/pubsub/": "/pubsub0", "a\xff": "b", "\xff\xff": "\x00"} {
		if got := string(rangeEnd(prefix)); got != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}
