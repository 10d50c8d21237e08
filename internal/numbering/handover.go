package numbering

import (
	"iter"
	"strings"
)

// All returns the topics that are remembered, and the last number of each.
func (b *Book) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for topic, s := range b.young {
			if !yield(topic, s.last) {
				return
			}
		}
		for topic, s := range b.old {
			if b.young[topic] == nil && !yield(topic, s.last) {
				return
			}
		}
	}
}

// Floor returns the number above which a topic begins that is not remembered.
func (b *Book) Floor() uint64 { return b.floor }

// Restore makes an empty Book that of which another one's Floor and All are.
func (b *Book) Restore(floor uint64, last map[string]uint64) {
	b.floor = floor
	for topic, n := range last {
		s := &Series{topic: strings.Clone(topic), last: n}
		b.add(s)
		b.Accepted(s) // its beacons begin anew
	}
}
