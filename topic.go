package wyvern

import (
	"hash/maphash"
	"maps"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/internal/tracker"
)

// topicShards is how many parts topics has, each copied as a whole when it
// changes: 20,000 topics added one by one copy 80 entries each time.
const topicShards = 256

// topics is the set that a subscriber holds. find takes no lock and may run
// concurrently with everything; add and drop not with one another.
type topics struct {
	seed   maphash.Seed
	shards [topicShards]atomic.Pointer[map[string]*tracker.Topic]
}

func (h *topics) init() { h.seed = maphash.MakeSeed() }

// find returns a topic by its exact name, or nil.
func (h *topics) find(name []byte) *tracker.Topic {
	shard := h.shards[maphash.Bytes(h.seed, name)%topicShards].Load()
	if shard == nil {
		return nil
	}
	return (*shard)[string(name)]
}

// add adds a topic, unless it is held.
func (h *topics) add(name string) {
	shard := &h.shards[maphash.String(h.seed, name)%topicShards]
	changed := map[string]*tracker.Topic{}
	if old := shard.Load(); old != nil {
		if (*old)[name] != nil {
			return
		}
		changed = maps.Clone(*old)
	}
	changed[name] = tracker.NewTopic(name)
	shard.Store(&changed)
}

// drop removes a topic, if it is held.
func (h *topics) drop(name string) {
	shard := &h.shards[maphash.String(h.seed, name)%topicShards]
	old := shard.Load()
	if old == nil || (*old)[name] == nil {
		return
	}
	changed := maps.Clone(*old)
	delete(changed, name)
	shard.Store(&changed)
	(*old)[name].Drop()
}

// each calls yield with every topic, until it says no.
func (h *topics) each(yield func(*tracker.Topic) bool) {
	for i := range h.shards {
		shard := h.shards[i].Load()
		if shard == nil {
			continue
		}
		for _, t := range *shard {
			if !yield(t) {
				return
			}
		}
	}
}
