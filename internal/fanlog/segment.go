package fanlog

import (
	"sort"
	"sync/atomic"
)

// maxEntries bounds the index of one segment, so that a stream of tiny events
// doesn't make an index larger than its data.
const maxEntries = 1 << 15

// entrySize and slotSize are what an entry, and the mention of a topic, cost in
// memory, for the budget.
const (
	entrySize = 8
	slotSize  = 4
)

// entry locates one event in its segment. It ends where the next one begins.
type entry struct {
	off   uint32
	topic uint32 // slot in the log's topic table
}

// segment is a run of events, as the bytes of the wire. Bytes and entries are
// written once and never changed while anybody holds a reference: a slow
// socket may be reading them. seq, base and data's capacity are fixed when the
// segment joins the log.
type segment struct {
	seq     uint64 // 1, 2, 3, ... in the log
	base    uint64 // offset of its first event
	data    []byte
	entries []entry
	topics  []uint32 // slots of the distinct topics in it
	named   int64    // memory of the topics that it was the first to have
	refs    atomic.Int32
}

// view is what a reader may look at of a segment: fixed at the moment that the
// view was taken, though the segment goes on growing.
type view struct {
	seg     *segment
	data    []byte
	entries []entry
}

func (s *segment) view() view { return view{seg: s, data: s.data, entries: s.entries} }

// position returns where the view begins.
func (v *view) position() position { return position{seg: v.seg.seq} }

// start returns where entry i begins; i may be the number of entries.
func (v *view) start(i int) int {
	if i == len(v.entries) {
		return len(v.data)
	}
	return int(v.entries[i].off)
}

// at returns the entry that contains the byte at off; the number of entries
// when off is the end.
func (v *view) at(off int) int {
	return sort.Search(len(v.entries), func(i int) bool { return v.start(i+1) > off })
}

// full says whether an event of size bytes doesn't fit any more. New topics fill
// a segment, too: what they cost goes when segments go.
func (s *segment) full(size int) bool {
	return len(s.data)+size > cap(s.data) || len(s.entries) >= maxEntries || s.named >= segmentSize
}

// memory is what the segment costs.
func (s *segment) memory() int64 { return int64(cap(s.data)) + s.overhead() }

// overhead is the part of memory that may grow.
func (s *segment) overhead() int64 {
	return int64(cap(s.entries))*entrySize + int64(cap(s.topics))*slotSize
}
