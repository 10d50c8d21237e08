package envelope

import "strconv"

// Kind says what is wrong with a body.
type Kind uint8

const (
	// KindTruncated: a token, or a declared length or count, runs past the end.
	KindTruncated Kind = iota + 1
	// KindTrailing: bytes follow the map.
	KindTrailing
	// KindTooLong: more bytes than msgpack's 32-bit lengths can count.
	KindTooLong
	// KindNotMap: the body is not a map.
	KindNotMap
	// KindMapKey: the key of a map is not a string.
	KindMapKey
	// KindToken: the byte 0xc1, which begins no token.
	KindToken
	// KindDepth: values nest deeper than MaxDepth.
	KindDepth
	// KindExt: an extension token that Python's msgpack does not load.
	KindExt
	// KindUTF8: text is not valid UTF-8.
	KindUTF8
	// KindDuplicate: a known key occurs twice.
	KindDuplicate
	// KindMissing: one of the five keys is absent.
	KindMissing
	// KindText: one of the five is neither text nor nil.
	KindText
	// KindAction: the action is nil or empty.
	KindAction
	// KindVersion: the version is not an integer from 0 to 2^64-1.
	KindVersion
	// KindNumber: epoch or seq is not an integer from 0 to 2^64-1. Only Decode
	// returns it: Renumber drops the two whatever they are.
	KindNumber
)

var kindText = [...]string{
	KindTruncated: "truncated",
	KindTrailing:  "bytes after the map",
	KindTooLong:   "too long",
	KindNotMap:    "not a map",
	KindMapKey:    "map key is not a string",
	KindToken:     "reserved token 0xc1",
	KindDepth:     "nested too deep",
	KindExt:       "bad extension token",
	KindUTF8:      "invalid UTF-8 in text",
	KindDuplicate: "duplicate key",
	KindMissing:   "missing key",
	KindText:      "neither text nor nil",
	KindAction:    "action is nil or empty",
	KindVersion:   "version is not a non-negative integer",
	KindNumber:    "epoch or seq is not a non-negative integer",
}

func (k Kind) String() string {
	if int(k) < len(kindText) && kindText[k] != "" {
		return kindText[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Error describes a malformed body, or fields that would make one. It is a
// value, for errors.AsType or a type assertion: building its text is left to
// whoever logs it, because a flood of bad bodies is counted, not logged.
type Error struct {
	Kind   Kind
	Offset int // of the offending token in the body; -1 for fields
}

func (e Error) Error() string {
	if e.Offset < 0 {
		return "malformed event: " + e.Kind.String()
	}
	return "malformed event body: " + e.Kind.String() + " at byte " + strconv.Itoa(e.Offset)
}
