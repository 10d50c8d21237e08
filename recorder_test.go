package wyvern

import (
	"context"
	"slices"
	"sync"
	"testing"
)

// recorder is a handler that keeps what it gets.
type recorder struct {
	mu  sync.Mutex
	got []Event
}

func (r *recorder) handle(_ context.Context, e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, e)
	return nil
}

func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// texts are the events in short: topic/key, or topic!reason.
func (r *recorder) texts() (list []string) {
	for _, e := range r.all() {
		if e.Reason != "" {
			list = append(list, e.Topic+"!"+string(e.Reason))
		} else {
			list = append(list, e.Topic+"/"+e.Key)
		}
	}
	return list
}

func wantTexts(t *testing.T, r *recorder, want ...string) {
	t.Helper()
	if got := r.texts(); !slices.Equal(got, want) {
		t.Errorf("the handler got %q, want %q", got, want)
	}
}

func holding(topics ...string) func(*SubscriberOptions) {
	return func(o *SubscriberOptions) { o.Topics = topics }
}
