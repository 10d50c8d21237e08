package demo

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// graveTime is how long a deleted object is remembered: much longer than any
// event is on its way, so that a late one can't bring it back, and short
// enough that an endless demo holds a bounded number.
const graveTime = 10 * time.Minute

// Object is what is known of an object: not its value, but a checksum of it.
type Object struct {
	Topic   string `json:"topic"`
	Table   string `json:"table"`
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Sum     uint64 `json:"sum"`
	Deleted bool   `json:"deleted,omitempty"`
}

func (o Object) id() objectID   { return objectID{o.Topic, o.Table, o.Key} }
func (o Object) String() string { return o.Table + " " + o.Key }

type objectID struct{ topic, table, key string }

// Digest is the checksum of the objects of a topic that are not deleted.
type Digest struct {
	Count int    `json:"count"`
	Sum   uint64 `json:"sum"` // of the checksums, so that order means nothing
}

// sum is the checksum of one version of an object.
func sum(table, key string, version uint64, value string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%s", table, key, version, value)
	return h.Sum64()
}

// objects are the highest versions of objects, with their deletions.
type objects struct {
	held    map[objectID]Object
	graves  []grave // oldest first
	digests map[string]Digest
	now     func() time.Time
}

type grave struct {
	id objectID
	at time.Time
}

func newObjects() *objects {
	return &objects{held: map[objectID]Object{}, digests: map[string]Digest{}, now: time.Now}
}

// put takes a version of an object, and returns false if a later one, or the
// same, is held.
func (s *objects) put(o Object) bool {
	id := o.id()
	old, held := s.held[id]
	if held && old.Version >= o.Version {
		return false
	}
	if held {
		s.count(old, -1)
	}
	s.held[id] = o
	s.count(o, +1)
	if o.Deleted {
		s.bury(id)
	}
	return true
}

func (s *objects) count(o Object, n int) {
	if o.Deleted {
		return
	}
	d := s.digests[o.Topic]
	d.Count += n
	d.Sum += uint64(n) * o.Sum
	s.digests[o.Topic] = d
}

// bury has an object forgotten after a while.
func (s *objects) bury(id objectID) {
	now := s.now()
	s.graves = append(s.graves, grave{id, now})
	for len(s.graves) > 0 && now.Sub(s.graves[0].at) > graveTime {
		old := s.graves[0].id
		if o, held := s.held[old]; held {
			s.count(o, -1)
			delete(s.held, old)
		}
		s.graves = s.graves[1:]
	}
}

// live returns how many objects are held and not deleted.
func (s *objects) live() int {
	n := 0
	for _, d := range s.digests {
		n += d.Count
	}
	return n
}

// list returns what is held, deletions too, in order.
func (s *objects) list() []Object {
	all := make([]Object, 0, len(s.held))
	for _, o := range s.held {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// differ says whether digests are other than those of s for any of the topics.
func (s *objects) differ(digests map[string]Digest, topics []string) bool {
	return slices.ContainsFunc(topics, func(t string) bool { return s.digests[t] != digests[t] })
}

// differences tells how what a node holds of the topics differs from s, which
// is what was published.
func (s *objects) differences(node []Object, topics []string) []string {
	var all []string
	held := map[objectID]Object{}
	for _, o := range node {
		held[o.id()] = o
		want, published := s.held[o.id()]
		switch {
		case !slices.Contains(topics, o.Topic):
			all = append(all, fmt.Sprintf("%s is of topic %s, which the node does not hold", o, o.Topic))
		case !published:
			if !o.Deleted {
				all = append(all, fmt.Sprintf("%s was never published", o))
			}
		case want.Deleted && !o.Deleted:
			all = append(all, fmt.Sprintf("%s is at version %d and was deleted at %d", o, o.Version, want.Version))
		case want.Version != o.Version:
			all = append(all, fmt.Sprintf("%s is at version %d, published was %d", o, o.Version, want.Version))
		case want.Sum != o.Sum:
			all = append(all, fmt.Sprintf("%s has another value than was published", o))
		}
	}
	for _, want := range s.list() {
		if _, ok := held[want.id()]; !ok && !want.Deleted && slices.Contains(topics, want.Topic) {
			all = append(all, fmt.Sprintf("%s is missing, published was version %d", want, want.Version))
		}
	}
	return all
}
