package zmtp

import (
	"encoding/binary"
	"math"
	"slices"
)

// Flags of a frame. The other five bits are reserved and zero.
const (
	FlagMore    byte = 1 << iota // more frames of this message follow
	FlagLong                     // the size has 8 bytes
	FlagCommand                  // a command, never with FlagMore

	flagsKnown = FlagMore | FlagLong | FlagCommand
)

const (
	shortHeader = 2
	longHeader  = 9
	shortMax    = 255 // largest body with a one-byte size
)

// Frame is one frame of a stream.
type Frame struct {
	More, Command bool
	Body          []byte // aliases the input of ParseFrame, with no spare capacity
}

// ParseFrame parses the frame at the start of p, and reports in n how many bytes of p it takes.
//
// With need above zero and no error the frame is incomplete: at least need bytes in all are wanted, which is a hint for sizing a
// buffer and never above limit+9. Feeding exactly need bytes never reads past the end of the frame.
//
// limit is the largest body accepted; a size above it is refused as soon as the header is there. A long size for a short body is
// legal. The error is a *ProtocolError of KindFrame or KindTooLarge.
func ParseFrame(p []byte, limit int) (f Frame, n int, need int, err error) {
	if len(p) < shortHeader {
		need, err = shortInput(p)
		return Frame{}, 0, need, err
	}
	flags := p[0]
	if !flagsValid(flags) {
		return Frame{}, 0, 0, flagsError(flags)
	}
	head, size := shortHeader, int(p[1])
	if flags&FlagLong != 0 {
		if len(p) < longHeader {
			return Frame{}, 0, longHeader, nil
		}
		u := binary.BigEndian.Uint64(p[1:])
		if u > uint64(max(limit, 0)) {
			return Frame{}, 0, 0, sizeError(u, limit)
		}
		head, size = longHeader, int(u)
	} else if size > limit {
		return Frame{}, 0, 0, sizeError(uint64(size), limit)
	}
	if size > len(p)-head {
		// Only a limit within 9 of the largest int could overflow here; no buffer is that large either.
		return Frame{}, 0, min(size, math.MaxInt-longHeader) + head, nil
	}
	n = head + size
	return Frame{More: flags&FlagMore != 0, Command: flags&FlagCommand != 0, Body: p[head:n:n]}, n, 0, nil
}

func flagsValid(flags byte) bool {
	return flags <= flagsKnown && flags&(FlagCommand|FlagMore) != FlagCommand|FlagMore
}

func shortInput(p []byte) (need int, err error) {
	if len(p) == 0 {
		return shortHeader, nil
	}
	if !flagsValid(p[0]) {
		return 0, flagsError(p[0])
	}
	if p[0]&FlagLong != 0 {
		return longHeader, nil
	}
	return shortHeader, nil
}

func flagsError(flags byte) error {
	if flags&^flagsKnown != 0 {
		return errorf(KindFrame, "reserved bits in flags %#02x", flags)
	}
	return errorf(KindFrame, "command with more frames to follow, flags %#02x", flags)
}

func sizeError(size uint64, limit int) error {
	if size > math.MaxInt64 {
		return errorf(KindFrame, "size %#x is 2^63 or more", size)
	}
	return errorf(KindTooLarge, "frame of %d bytes, at most %d are accepted", size, max(limit, 0))
}

// FrameSize is the length of a frame with a body of size bytes.
func FrameSize(size int) int {
	if size > shortMax {
		return longHeader + size
	}
	return shortHeader + size
}

// AppendFrameHeader appends flags and size of a frame whose body has size bytes and follows. FlagLong is set by itself for a size
// above 255; a caller may ask for it below that. It panics for reserved flags, for a command with FlagMore, and for a negative
// size.
func AppendFrameHeader(dst []byte, flags byte, size int) []byte {
	if size < 0 || !flagsValid(flags) {
		panic("zmtp: bad flags or size of a frame")
	}
	if size > shortMax || flags&FlagLong != 0 {
		dst = append(dst, flags|FlagLong)
		return binary.BigEndian.AppendUint64(dst, uint64(size))
	}
	return append(dst, flags, byte(size))
}

// AppendFrame appends a message frame.
func AppendFrame(dst []byte, more bool, body []byte) []byte {
	var flags byte
	if more {
		flags = FlagMore
	}
	return append(AppendFrameHeader(dst, flags, len(body)), body...)
}

// AppendMessage2 appends the message of PUB and PUSH: a frame with the topic, a frame with the body. It grows dst at most once,
// and not at all when Message2Size bytes are spare.
func AppendMessage2(dst, topic, body []byte) []byte {
	at := len(dst)
	size := Message2Size(len(topic), len(body))
	dst = slices.Grow(dst, size)[:at+size]
	w := dst[at:]
	w = w[putHeader(w, FlagMore, len(topic)):]
	w = w[copy(w, topic):]
	w = w[putHeader(w, 0, len(body)):]
	copy(w, body)
	return dst
}

// Message2Size is what AppendMessage2 appends for a topic and a body of these sizes.
func Message2Size(topic, body int) int { return FrameSize(topic) + FrameSize(body) }

func putHeader(w []byte, flags byte, size int) int {
	if size > shortMax {
		w[0] = flags | FlagLong
		binary.BigEndian.PutUint64(w[1:], uint64(size))
		return longHeader
	}
	w[1] = byte(size)
	w[0] = flags
	return shortHeader
}
