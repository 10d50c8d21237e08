package fanlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A saved log is a magic text with the version of the format, and blocks. A
// block is the length of its payload and the payload's CRC-32C, 4 bytes each,
// and the payload. Integers are big-endian; "number" is a varint.
//
//	events   'E', offset of the first: 8, events
//	event    topic, size: number, bytes of the wire
//	topic    0, length: number, name; or its place, from 1, among the block's names
//	end      'Z', offset of the next event to be appended: 8
//
// A block that is longer than saveBlock holds one event. A reader needs no more
// than a block at a time, and takes not a byte more than the end.
const (
	saveMagic  = "WYVLOG\x00\x01"
	saveHead   = 8
	saveBlock  = 256 << 10
	maxPayload = 1 << 30

	kindEvents = 'E'
	kindEnd    = 'Z'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errAppended is returned when what was to be saved changed meanwhile.
var errAppended = errors.New("save log: appended to at the same time")

// Save writes what is retained, for Options.Restore of another Fanout. Nothing
// may be appended meanwhile. It may be called after Close.
func (f *Fanout) Save(w io.Writer) error {
	l := f.log
	l.mu.Lock()
	head := l.headLocked()
	var views []view
	for _, seg := range l.segs {
		seg.refs.Add(1)
		views = append(views, seg.view())
	}
	l.mu.Unlock()
	defer func() {
		for i := range views {
			l.release(views[i].seg)
		}
	}()

	if _, err := io.WriteString(w, saveMagic); err != nil {
		return err
	}
	s := &saver{w: w, places: make(map[uint32]int)}
	for i := range views {
		if err := s.segment(l, &views[i]); err != nil {
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	if f.Head() != head {
		return errAppended
	}
	s.begin(kindEnd, head)
	return s.flush()
}

// saver puts blocks together.
type saver struct {
	w      io.Writer
	buf    []byte         // the block with its head; empty between blocks
	places map[uint32]int // of the block's topics, by slot
	names  []string       // of some events
}

// segment adds a segment's events.
func (s *saver) segment(l *log, v *view) error {
	const batch = 1024 // names to look up at a time, so that the lock is held briefly
	for from := 0; from < len(v.entries); from += batch {
		entries := v.entries[from:min(from+batch, len(v.entries))]
		var ok bool
		if s.names, ok = l.names(s.names[:0], v.seg, entries); !ok {
			return errAppended
		}
		for i := range entries {
			at := from + i
			err := s.event(v.seg.base+uint64(at), entries[i].topic, s.names[i], v.data[v.start(at):v.start(at+1)])
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// names appends the topics of entries of a segment; no when that retired.
func (l *log) names(dst []string, seg *segment, entries []entry) ([]string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seg.seq < l.segs[0].seq {
		return dst, false
	}
	for _, e := range entries {
		dst = append(dst, l.slots[e.topic].topic.name)
	}
	return dst, true
}

func (s *saver) event(offset uint64, slot uint32, name string, p []byte) error {
	most := 4*binary.MaxVarintLen32 + len(name) + len(p)
	if most > maxPayload-16 {
		return fmt.Errorf("save log: event of %d bytes", len(p))
	}
	if len(s.buf) > 0 && len(s.buf)+most > saveHead+saveBlock {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if len(s.buf) == 0 {
		s.begin(kindEvents, offset)
	}
	place := s.places[slot]
	s.buf = binary.AppendUvarint(s.buf, uint64(place))
	if place == 0 {
		s.places[slot] = len(s.places) + 1
		s.buf = binary.AppendUvarint(s.buf, uint64(len(name)))
		s.buf = append(s.buf, name...)
	}
	s.buf = binary.AppendUvarint(s.buf, uint64(len(p)))
	s.buf = append(s.buf, p...)
	return nil
}

func (s *saver) begin(kind byte, offset uint64) {
	s.buf = append(s.buf[:0], make([]byte, saveHead)...)
	s.buf = binary.BigEndian.AppendUint64(append(s.buf, kind), offset)
}

// flush writes the block, if there is one.
func (s *saver) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	seal(s.buf)
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	clear(s.places)
	return err
}

// seal fills in the head of a block.
func seal(block []byte) {
	payload := block[saveHead:]
	binary.BigEndian.PutUint32(block, uint32(len(payload)))
	binary.BigEndian.PutUint32(block[4:], crc32.Checksum(payload, castagnoli))
}
