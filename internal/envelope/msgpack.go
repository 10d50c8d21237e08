package envelope

import (
	"encoding/binary"
	"math"
)

// MaxDepth is how many arrays and maps may lie inside one another in the value
// of an unknown key. Python's unpacker stops at 1024; nobody needs 32.
const MaxDepth = 32

// First bytes of tokens.
const (
	tagFixmap   = 0x80
	tagFixarray = 0x90
	tagFixstr   = 0xa0
	tagNil      = 0xc0
	tagReserved = 0xc1
	tagFalse    = 0xc2
	tagTrue     = 0xc3
	tagBin8     = 0xc4
	tagBin16    = 0xc5
	tagBin32    = 0xc6
	tagExt8     = 0xc7
	tagExt16    = 0xc8
	tagExt32    = 0xc9
	tagFloat32  = 0xca
	tagFloat64  = 0xcb
	tagUint8    = 0xcc
	tagUint16   = 0xcd
	tagUint32   = 0xce
	tagUint64   = 0xcf
	tagInt8     = 0xd0
	tagInt16    = 0xd1
	tagInt32    = 0xd2
	tagInt64    = 0xd3
	tagFixext1  = 0xd4
	tagFixext16 = 0xd8
	tagStr8     = 0xd9
	tagStr16    = 0xda
	tagStr32    = 0xdb
	tagArray16  = 0xdc
	tagArray32  = 0xdd
	tagMap16    = 0xde
	tagMap32    = 0xdf
	tagNegative = 0xe0

	// binToStr turns the tag of a bin token into that of the str token with a
	// length of the same width.
	binToStr = tagStr8 - tagBin8
)

// The readers below take the whole body and the offset of a token. They return
// the kind of what is wrong, or 0; a kind is turned into an error once, at the
// top, so that nothing here allocates. Lengths and counts are compared with the
// bytes that remain before anything is done with them.

func isBin(tag byte) bool { return tag >= tagBin8 && tag <= tagBin32 }

// uintAt reads a big-endian integer of 1, 2, 4 or 8 bytes.
func uintAt(b []byte, off, width int) (uint64, bool) {
	if len(b)-off < width {
		return 0, false
	}
	switch width {
	case 1:
		return uint64(b[off]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(b[off:])), true
	case 4:
		return uint64(binary.BigEndian.Uint32(b[off:])), true
	}
	return binary.BigEndian.Uint64(b[off:]), true
}

// stringAt reads the string token at off, str or bin: its content is
// b[start:end]. KindText means that there is another token.
func stringAt(b []byte, off int) (start, end int, k Kind) {
	if off >= len(b) {
		return 0, 0, KindTruncated
	}
	tag := b[off]
	if tag&0xe0 == tagFixstr {
		start, end = off+1, off+1+int(tag&0x1f)
		if end > len(b) {
			return 0, 0, KindTruncated
		}
		return start, end, 0
	}
	width := 0
	switch tag {
	case tagStr8, tagBin8:
		width = 1
	case tagStr16, tagBin16:
		width = 2
	case tagStr32, tagBin32:
		width = 4
	default:
		return 0, 0, KindText
	}
	n, ok := uintAt(b, off+1, width)
	start = off + 1 + width
	if !ok || n > uint64(len(b)-start) {
		return 0, 0, KindTruncated
	}
	return start, start + int(n), 0
}

// integerAt reads a non-negative integer of any form. KindNumber means that
// there is another token.
func integerAt(b []byte, off int) (v uint64, next int, k Kind) {
	if off >= len(b) {
		return 0, 0, KindTruncated
	}
	tag := b[off]
	if tag < tagFixmap {
		return uint64(tag), off + 1, 0
	}
	if tag < tagUint8 || tag > tagInt64 {
		return 0, 0, KindNumber
	}
	width := 1 << ((tag - tagUint8) & 3)
	v, ok := uintAt(b, off+1, width)
	if !ok {
		return 0, 0, KindTruncated
	}
	if tag >= tagInt8 && v>>(8*width-1) != 0 {
		return 0, 0, KindNumber
	}
	return v, off + 1 + width, 0
}

// mapAt reads a map's header. Each entry needs two bytes at least.
func mapAt(b []byte, off int) (count uint32, next int, k Kind) {
	if off >= len(b) {
		return 0, 0, KindTruncated
	}
	var n uint64
	ok := true
	switch tag := b[off]; {
	case tag&0xf0 == tagFixmap:
		n, next = uint64(tag&0x0f), off+1
	case tag == tagMap16:
		n, ok = uintAt(b, off+1, 2)
		next = off + 3
	case tag == tagMap32:
		n, ok = uintAt(b, off+1, 4)
		next = off + 5
	default:
		return 0, 0, KindNotMap
	}
	if !ok || n > uint64(len(b)-next)/2 {
		return 0, 0, KindTruncated
	}
	return uint32(n), next, 0
}

// skip steps over one value of any type, checking all that Python's unpacker
// would. depth is how many more arrays and maps may open. next is behind the
// value, or where it went wrong.
func skip(b []byte, off, depth int) (next int, k Kind) {
	if off >= len(b) {
		return off, KindTruncated
	}
	tag := b[off]
	switch {
	case tag < tagFixmap, tag >= tagNegative, tag == tagNil, tag == tagFalse, tag == tagTrue:
		return off + 1, 0
	case tag&0xf0 == tagFixmap, tag == tagMap16, tag == tagMap32:
		n, next, k := mapAt(b, off)
		if k == 0 && depth == 0 {
			k = KindDepth
		}
		if k != 0 {
			return off, k
		}
		return skipMap(b, next, n, depth-1)
	case tag&0xf0 == tagFixarray:
		return skipArray(b, off, off+1, uint64(tag&0x0f), depth)
	case tag == tagArray16, tag == tagArray32:
		width := 2 << (tag - tagArray16)
		n, ok := uintAt(b, off+1, width)
		if !ok {
			return off, KindTruncated
		}
		return skipArray(b, off, off+1+width, n, depth)
	case tag&0xe0 == tagFixstr, tag >= tagStr8 && tag <= tagStr32, isBin(tag):
		start, end, k := stringAt(b, off)
		if k == 0 && !isBin(tag) && !validText(b[start:end]) {
			k = KindUTF8
		}
		if k != 0 {
			return off, k
		}
		return end, 0
	case tag >= tagExt8 && tag <= tagExt32:
		width := 1 << (tag - tagExt8)
		n, ok := uintAt(b, off+1, width)
		if !ok {
			return off, KindTruncated
		}
		return skipExt(b, off, off+1+width, n)
	case tag >= tagFixext1 && tag <= tagFixext16:
		return skipExt(b, off, off+1, 1<<(tag-tagFixext1))
	case tag == tagFloat32:
		return skipBytes(b, off, 4)
	case tag == tagFloat64:
		return skipBytes(b, off, 8)
	case tag >= tagUint8 && tag <= tagInt64:
		return skipBytes(b, off, 1<<((tag-tagUint8)&3))
	}
	return off, KindToken
}

// skipBytes steps over a tag and n bytes.
func skipBytes(b []byte, off, n int) (int, Kind) {
	if len(b)-off <= n {
		return off, KindTruncated
	}
	return off + 1 + n, 0
}

func skipArray(b []byte, tag, off int, n uint64, depth int) (int, Kind) {
	if n > uint64(len(b)-off) {
		return tag, KindTruncated
	}
	if depth == 0 {
		return tag, KindDepth
	}
	for range n {
		var k Kind
		if off, k = skip(b, off, depth-1); k != 0 {
			return off, k
		}
	}
	return off, 0
}

func skipMap(b []byte, off int, n uint32, depth int) (int, Kind) {
	for range n {
		start, end, k := stringAt(b, off)
		switch {
		case k == KindText:
			return off, KindMapKey
		case k != 0:
			return off, k
		case !isBin(b[off]) && !validText(b[start:end]):
			return off, KindUTF8
		}
		if off, k = skip(b, end, depth); k != 0 {
			return off, k
		}
	}
	return off, 0
}

// skipExt steps over an ext token of n bytes whose type byte is at off. Of the
// negative types, which msgpack reserves, Python loads only the timestamp (-1),
// and raises where its nanoseconds make a second or more.
func skipExt(b []byte, tag, off int, n uint64) (int, Kind) {
	if off >= len(b) || n > uint64(len(b)-off-1) {
		return tag, KindTruncated
	}
	data := b[off+1 : off+1+int(n)]
	next := off + 1 + int(n)
	if b[off] <= math.MaxInt8 {
		return next, 0
	}
	if b[off] != 0xff {
		return tag, KindExt
	}
	var nanoseconds uint64
	switch n {
	case 4:
	case 8:
		nanoseconds = binary.BigEndian.Uint64(data) >> 34
	case 12:
		nanoseconds = uint64(binary.BigEndian.Uint32(data))
	default:
		return tag, KindExt
	}
	if nanoseconds >= 1e9 {
		return tag, KindExt
	}
	return next, 0
}
