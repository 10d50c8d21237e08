package fanlog

import (
	"sort"
	"sync"
)

// segmentSize is the capacity of an ordinary segment; an event that is larger
// gets a segment of its own.
const segmentSize = 1 << 20

// maxFree bounds how many retired segments are kept for reuse.
const maxFree = 8

// topic is one name that occurs in the log. It never changes: a slot that is
// used again holds another topic.
type topic struct {
	name string
	slot uint32
}

// A topic that occurs in what is retained costs the log and every loop memory,
// which counts for the budget: a stream of ever new topics is bounded like any
// other. These are estimates, and the name comes on top: of the log's table,
// slot and topic, with what maps and slices leave free, and of a loop's slot and
// place in order. Who holds a topic is not counted: the number of subscriptions
// bounds that.
const (
	logTopic  = 128
	loopTopic = 56
)

// topicSlot is what the log knows of a topic while events of it are retained.
type topicSlot struct {
	topic *topic
	last  uint64 // sequence of the last segment that has an event of it
}

// log is the sequence of segments. Its events are counted: an event's offset is
// the number of those before it. Events are appended at its head; at its
// tail segments retire when the budget is exceeded.
//
// mu guards everything but free and is held for short copies and scans only.
// Nothing is locked under it but free.mu.
type log struct {
	budget    int64
	topicCost int64 // of a topic, without its name

	mu     sync.Mutex
	segs   []*segment // retained, oldest first; the last is written to
	memory int64      // of segs and topics
	topics int64      // of topics alone
	half   uint64     // sequence of the oldest segment in the newer half of what topics leave of the budget
	slots  []topicSlot
	ids    map[string]uint32
	unused []uint32 // free slots

	free struct { // retired segments that nobody holds
		mu   sync.Mutex
		segs []*segment
	}
}

func newLog(budget int64, loops int) *log {
	l := &log{budget: budget, topicCost: logTopic + int64(loops)*loopTopic, ids: make(map[string]uint32)}
	l.segs = append(l.segs, l.newSegment(0))
	l.half = 1
	l.memory = l.segs[0].memory()
	return l
}

// Frame is one event to append: its topic, and its bytes on the wire in up to
// three parts, so that the caller need not join them first.
type Frame struct {
	Topic []byte
	Parts [3][]byte
}

func (f *Frame) size() int { return len(f.Parts[0]) + len(f.Parts[1]) + len(f.Parts[2]) }

// appendLocked adds one event and says whether that began a new segment. The
// caller holds mu.
func (l *log) appendLocked(f *Frame) (rotated bool) {
	size := f.size()
	seg := l.segs[len(l.segs)-1]
	if seg.full(size) {
		seg = l.rotateLocked(size)
		rotated = true
	}
	before := seg.overhead()
	slot, ok := l.ids[string(f.Topic)]
	if !ok {
		slot = l.internLocked(string(f.Topic))
		seg.named += l.topicCost + int64(len(f.Topic))
	}
	if t := &l.slots[slot]; t.last != seg.seq {
		t.last = seg.seq
		seg.topics = append(seg.topics, slot)
	}
	seg.entries = append(seg.entries, entry{off: uint32(len(seg.data)), topic: slot})
	l.memory += seg.overhead() - before
	for _, p := range f.Parts {
		seg.data = append(seg.data, p...)
	}
	return rotated
}

func (l *log) internLocked(name string) uint32 {
	var slot uint32
	if n := len(l.unused); n > 0 {
		slot = l.unused[n-1]
		l.unused = l.unused[:n-1]
	} else {
		slot = uint32(len(l.slots))
		l.slots = append(l.slots, topicSlot{})
	}
	l.slots[slot] = topicSlot{topic: &topic{name: name, slot: slot}}
	l.ids[name] = slot
	l.chargeLocked(name, 1)
	return slot
}

// chargeLocked counts the memory of a topic that appeared, or went: times 1 or
// -1.
func (l *log) chargeLocked(name string, times int64) {
	cost := times * (l.topicCost + int64(len(name)))
	l.topics += cost
	l.memory += cost
}

// topic returns the topic of a name; nil when none is retained.
func (l *log) topic(name string) *topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slot, ok := l.ids[name]; ok {
		return l.slots[slot].topic
	}
	return nil
}

// rotateLocked begins a new segment that has room for size bytes and retires
// old ones past the budget, but never the new one.
func (l *log) rotateLocked(size int) *segment {
	old := l.segs[len(l.segs)-1]
	seg := l.newSegment(size)
	seg.seq, seg.base = old.seq+1, old.base+uint64(len(old.entries))
	l.segs = append(l.segs, seg)
	l.memory += seg.memory()
	retired := 0
	for l.memory > l.budget && retired < len(l.segs)-1 {
		l.retireLocked(l.segs[retired])
		retired++
	}
	if retired > 0 {
		kept := copy(l.segs, l.segs[retired:])
		clear(l.segs[kept:])
		l.segs = l.segs[:kept]
	}
	l.half = seg.seq
	for i, memory := len(l.segs)-2, seg.memory(); i >= 0; i-- {
		if memory += l.segs[i].memory(); memory > (l.budget-l.topics)/2 {
			break
		}
		l.half = l.segs[i].seq
	}
	return seg
}

func (l *log) retireLocked(seg *segment) {
	l.memory -= seg.memory()
	for _, slot := range seg.topics {
		t := &l.slots[slot]
		if t.last == seg.seq { // no later event of it is retained
			delete(l.ids, t.topic.name)
			l.chargeLocked(t.topic.name, -1)
			*t = topicSlot{}
			l.unused = append(l.unused, slot)
		}
	}
	l.release(seg)
}

// headLocked returns the offset of the next event.
func (l *log) headLocked() uint64 {
	last := l.segs[len(l.segs)-1]
	return last.base + uint64(len(last.entries))
}

// locate returns the place of the event with an offset, or the end of the log.
// It says no when that is not retained, or not appended yet.
func (l *log) locate(offset uint64) (position, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset < l.segs[0].base || offset > l.headLocked() {
		return position{}, false
	}
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].base > offset }) - 1
	return position{seg: l.segs[i].seq, entry: int(offset - l.segs[i].base)}, true
}

// base returns the offset of a segment's first event; no when it retired.
func (l *log) base(seq uint64) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.segs[0].seq
	if seq < first || seq-first >= uint64(len(l.segs)) {
		return 0, false
	}
	return l.segs[seq-first].base, true
}

// newSegment returns an empty segment, held once, with room for size bytes.
func (l *log) newSegment(size int) *segment {
	var seg *segment
	l.free.mu.Lock()
	if n := len(l.free.segs); n > 0 && size <= segmentSize {
		seg = l.free.segs[n-1]
		l.free.segs[n-1] = nil
		l.free.segs = l.free.segs[:n-1]
	}
	l.free.mu.Unlock()
	if seg == nil {
		seg = &segment{data: make([]byte, 0, max(size, segmentSize))}
	}
	seg.seq, seg.base, seg.named = 1, 0, 0
	seg.refs.Store(1)
	return seg
}

// release gives up one reference. The last one makes the memory available to
// later segments: nobody can be reading it.
func (l *log) release(seg *segment) {
	if seg.refs.Add(-1) != 0 {
		return
	}
	if cap(seg.data) != segmentSize {
		return // left to the garbage collector
	}
	seg.data, seg.entries, seg.topics = seg.data[:0], seg.entries[:0], seg.topics[:0]
	l.free.mu.Lock()
	defer l.free.mu.Unlock()
	if len(l.free.segs) < maxFree {
		l.free.segs = append(l.free.segs, seg)
	}
}

// newerHalf returns the sequence of the oldest segment in the newer half of
// the budget.
func (l *log) newerHalf() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.half
}

// retained returns how many bytes the log occupies.
func (l *log) retained() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory
}
