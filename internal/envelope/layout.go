package envelope

import (
	"encoding/binary"
	"math"
)

// span is a part of a body.
type span struct{ start, end uint32 }

// layout is where the parts of one valid body lie. Decode and Renumber both
// scan a body into a layout before they do anything else, so they accept the
// same bodies by construction.
type layout struct {
	text [5]span // zero where nil
	null Mask
	seen uint8 // bit per known field

	count uint32 // entries of the map
	head  uint32 // behind the map's header
	join  uint32 // behind the entry that completed the five: our place

	cut        [2]span // epoch and seq with their keys, in the order of the body
	cuts       uint8
	cutEntries uint8 // in the cuts: two in one where they stand as we write them

	// bins are the tags that must become str: keys or values of known fields
	// in bin form. At most two for each of the five, one for version.
	bins  [11]uint32
	nbins uint8

	epoch, seq, version uint64
	badNumber           uint32 // where epoch or seq was no number; 0: nowhere
}

func (l *layout) has(f field) bool { return l.seen&(1<<f) != 0 }

// scan validates the whole body. Its errors carry the offset.
func (l *layout) scan(body []byte) error {
	if at, k := l.scanMap(body); k != 0 {
		return Error{k, at}
	}
	return nil
}

func (l *layout) scanMap(body []byte) (at int, k Kind) {
	if uint64(len(body)) > math.MaxUint32 {
		return 0, KindTooLong
	}
	count, off, k := mapAt(body, 0)
	if k != 0 {
		return 0, k
	}
	l.count, l.head = count, uint32(off)

	n := uint32(0)
	if count >= 5 {
		if n, off, k = l.scanCanonical(body, off, count); k != 0 {
			return off, k
		}
	}
	for ; n < count; n++ {
		if off, k = l.scanEntry(body, off); k != 0 {
			return off, k
		}
	}

	if Mask(l.seen)&allText != allText {
		return off, KindMissing
	}
	if off != len(body) {
		return off, KindTrailing
	}
	return off, 0
}

// scanCanonical reads the entries at the beginning of the body that stand as
// Append writes them, which is all of almost every body: the five, or those of
// them up to the first that doesn't, then ours. It does what scanEntry would, but
// compares each key at a known place with a constant. It returns how many it read
// and what is behind them, or where it went wrong. There are count entries, at
// least five.
func (l *layout) scanCanonical(body []byte, off int, count uint32) (n uint32, next int, k Kind) {
	if b := body[off:]; len(b) < len(keyTable) || string(b[:len(keyTable)]) != keyTable {
		return 0, off, 0
	}
	if off, k = l.scanText(body, off+len(keyTable), fieldTable); k != 0 {
		return 0, off, k
	}
	if b := body[off:]; len(b) < len(keyKey) || string(b[:len(keyKey)]) != keyKey {
		return 1, off, 0
	}
	if off, k = l.scanText(body, off+len(keyKey), fieldKey); k != 0 {
		return 0, off, k
	}
	if b := body[off:]; len(b) < len(keyAction) || string(b[:len(keyAction)]) != keyAction {
		return 2, off, 0
	}
	if off, k = l.scanText(body, off+len(keyAction), fieldAction); k != 0 {
		return 0, off, k
	}
	if b := body[off:]; len(b) < len(keyValue) || string(b[:len(keyValue)]) != keyValue {
		return 3, off, 0
	}
	if off, k = l.scanText(body, off+len(keyValue), fieldValue); k != 0 {
		return 0, off, k
	}
	if b := body[off:]; len(b) < len(keyTopic) || string(b[:len(keyTopic)]) != keyTopic {
		return 4, off, 0
	}
	if off, k = l.scanText(body, off+len(keyTopic), fieldTopic); k != 0 {
		return 0, off, k
	}
	n = 5
	if n+2 <= count && len(body)-off >= stampSize {
		b := body[off:]
		if string(b[:stampEpoch]) == keyEpoch+"\xcf" && string(b[stampEpoch+8:stampSeq]) == keySeq+"\xcf" {
			l.epoch = binary.BigEndian.Uint64(b[stampEpoch:])
			l.seq = binary.BigEndian.Uint64(b[stampSeq:])
			l.seen |= 1<<fieldEpoch | 1<<fieldSeq
			l.cut[0] = span{uint32(off), uint32(off + stampSize)}
			l.cuts, l.cutEntries = 1, 2
			off += stampSize
			n += 2
		}
	}
	if b := body[off:]; n < count && len(b) >= len(keyVersion) && string(b[:len(keyVersion)]) == keyVersion {
		if off, k = l.scanVersion(body, off+len(keyVersion)); k != 0 {
			return 0, off, k
		}
		n++
	}
	return n, off, 0
}

// scanEntry reads one key and its value. It returns what is behind them, or
// where they went wrong.
func (l *layout) scanEntry(body []byte, off int) (next int, k Kind) {
	start, end, k := stringAt(body, off)
	switch {
	case k == KindText:
		return off, KindMapKey
	case k != 0:
		return off, k
	}
	f := fieldOf(body[start:end])
	if f == fieldUnknown {
		if !isBin(body[off]) && !validText(body[start:end]) {
			return off, KindUTF8
		}
		return skip(body, end, MaxDepth)
	}
	if l.has(f) {
		return off, KindDuplicate
	}
	if f == fieldEpoch || f == fieldSeq {
		return l.scanNumber(body, off, end, f)
	}
	if isBin(body[off]) {
		l.addBin(off)
	}
	if f == fieldVersion {
		return l.scanVersion(body, end)
	}
	return l.scanText(body, end, f)
}

// scanText reads the value of one of the five.
func (l *layout) scanText(body []byte, off int, f field) (next int, k Kind) {
	if off >= len(body) {
		return off, KindTruncated
	}
	tag := body[off]
	if tag == tagNil {
		if f == fieldAction {
			return off, KindAction
		}
		l.null |= 1 << f
		next = off + 1
	} else {
		// What stringAt would find for the most frequent form, without the call.
		start, end := off+1, off+1+int(tag&0x1f)
		if tag&0xe0 != tagFixstr || end > len(body) {
			start, end, k = stringAt(body, off)
		}
		switch {
		case k != 0:
			return off, k
		case f == fieldAction && start == end:
			return off, KindAction
		case !validText(body[start:end]):
			return off, KindUTF8
		}
		if isBin(tag) {
			l.addBin(off)
		}
		l.text[f] = span{uint32(start), uint32(end)}
		next = end
	}
	l.seen |= 1 << f
	if Mask(l.seen)&allText == allText {
		l.join = uint32(next)
	}
	return next, 0
}

// scanVersion reads the value of version.
func (l *layout) scanVersion(body []byte, off int) (next int, k Kind) {
	v, next, k := integerAt(body, off)
	switch k {
	case 0:
		l.version = v
		l.seen |= 1 << fieldVersion
		return next, 0
	case KindNumber:
		k = KindVersion
	}
	return off, k
}

// scanNumber reads the value of epoch or seq, at off; its key is at key. What
// is not a number is still a value, to be dropped.
func (l *layout) scanNumber(body []byte, key, off int, f field) (next int, k Kind) {
	v, next, k := integerAt(body, off)
	if k == KindNumber {
		if l.badNumber == 0 {
			l.badNumber = uint32(off)
		}
		next, k = skip(body, off, MaxDepth)
		if k != 0 {
			return next, k
		}
	}
	if k != 0 {
		return off, k
	}
	if f == fieldEpoch {
		l.epoch = v
	} else {
		l.seq = v
	}
	l.seen |= 1 << f
	l.cut[l.cuts] = span{uint32(key), uint32(next)}
	l.cuts++
	l.cutEntries++
	return next, 0
}

func (l *layout) addBin(off int) {
	l.bins[l.nbins] = uint32(off)
	l.nbins++
}
