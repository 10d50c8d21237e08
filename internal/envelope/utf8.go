package envelope

import (
	"encoding/binary"
	"unicode/utf8"
)

// validText is utf8.Valid for text that is mostly ASCII and mostly short: it
// tests 32 bytes at once, and the tail as one word that overlaps what was tested
// before. utf8.Valid was 30% of Renumber. Best of five, in ns, utf8.Valid against
// this: 9.3 and 2.8 for 5 bytes, 9.2 and 4.3 for 36, 26 and 23 for 600.
func validText(b []byte) bool {
	const high = 0x8080808080808080
	if len(b) < 8 {
		if len(b) >= 4 {
			or := binary.NativeEndian.Uint32(b) | binary.NativeEndian.Uint32(b[len(b)-4:])
			return or&(high>>32) == 0 || utf8.Valid(b)
		}
		for _, c := range b {
			if c >= utf8.RuneSelf {
				return utf8.Valid(b)
			}
		}
		return true
	}
	last := binary.NativeEndian.Uint64(b[len(b)-8:])
	for len(b) >= 32 {
		or := binary.NativeEndian.Uint64(b) |
			binary.NativeEndian.Uint64(b[8:]) |
			binary.NativeEndian.Uint64(b[16:]) |
			binary.NativeEndian.Uint64(b[24:])
		if or&high != 0 {
			return utf8.Valid(b)
		}
		b = b[32:]
	}
	rest := b
	for len(rest) >= 8 {
		last |= binary.NativeEndian.Uint64(rest)
		rest = rest[8:]
	}
	return last&high == 0 || utf8.Valid(b)
}
