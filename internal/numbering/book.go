package numbering

import (
	"errors"
	"math"
	"strings"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// MinTopics is the smallest sensible quota: a generation is larger than what is
// in hand at a time.
const MinTopics = 2048

// ErrExhausted is returned when a topic's numbers are used up.
var ErrExhausted = errors.New("the topic's numbers are used up: only a new incarnation of the publisher can begin anew")

// Book is what a publisher remembers of its topics.
type Book struct {
	quota int // of a generation

	young, old       map[string]*Series
	generation       uint32
	youngTop, oldTop uint64 // no number in that generation is higher
	floor            uint64 // no number that was forgotten is higher

	wheel *wheel // nil: no beacons

	shared uint64 // of a planted bug
}

// Series numbers the events of one topic.
type Series struct {
	topic      string
	last       uint64 // the last number given
	generation uint32 // when it was last used
	refused    uint64 // the last number of which Refused was told
	turn
}

// New returns a Book that remembers up to so many topics.
func New(topics int, beacons bool) *Book {
	b := &Book{quota: max(topics, 2) / 2, young: make(map[string]*Series)}
	if beacons {
		b.wheel = new(wheel)
	}
	return b
}

// Topic returns what the series is about.
func (s *Series) Topic() string { return s.topic }

// Last returns the last number given.
func (s *Series) Last() uint64 { return s.last }

// Find returns the series of a topic, or nil.
func (b *Book) Find(topic string) *Series {
	if s := b.young[topic]; s != nil {
		return s
	}
	return b.promote(b.old[topic])
}

// FindBytes is Find without the need to make a string.
func (b *Book) FindBytes(topic []byte) *Series {
	if s := b.young[string(topic)]; s != nil {
		return s
	}
	return b.promote(b.old[string(topic)])
}

// promote moves a series to the younger generation.
func (b *Book) promote(s *Series) *Series {
	if s != nil {
		b.add(s)
	}
	return s
}

// Begin starts the series of a topic that Find doesn't know.
func (b *Book) Begin(topic string) *Series {
	s := &Series{topic: strings.Clone(topic)} // the caller's may be part of something large
	if !plant.On(plant.QuotaWithoutFloor) {
		s.last = b.floor
	}
	b.add(s)
	return s
}

func (b *Book) add(s *Series) {
	if len(b.young) >= b.quota {
		b.floor = max(b.floor, b.oldTop)
		b.old, b.oldTop = b.young, b.youngTop
		b.young, b.youngTop = make(map[string]*Series), 0
		b.generation++
	}
	s.generation = b.generation
	b.young[s.topic] = s
	b.youngTop = max(b.youngTop, s.last)
}

// Give returns the next number of a series.
func (b *Book) Give(s *Series) (uint64, error) {
	if s.last == math.MaxUint64 {
		return 0, ErrExhausted
	}
	s.last++
	if plant.On(plant.PerPublisherNumbers) {
		b.shared++
		s.last = b.shared
	}
	if s.last > b.youngTop {
		b.youngTop = s.last
	}
	return s.last, nil
}

// Peek returns what Give would: for a series, or for one that is yet to begin.
func (b *Book) Peek(s *Series) (uint64, error) {
	last := b.floor
	if s != nil {
		last = s.last
	}
	if last == math.MaxUint64 {
		return 0, ErrExhausted
	}
	return last + 1, nil
}

// TakeBack makes the last number of a series free again.
func (b *Book) TakeBack(s *Series) { s.last-- }

// Len returns how many topics are remembered, some perhaps counted twice.
func (b *Book) Len() int { return len(b.young) + len(b.old) }

// forgot says that Find no longer knows a series.
func (b *Book) forgot(s *Series) bool { return s.generation+1 < b.generation }
