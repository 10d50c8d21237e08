package envelope

import (
	"math"
	"unicode/utf8"
)

// Mask is a set of the five text fields.
type Mask uint8

// The five text fields, in the order of the wire.
const (
	Table Mask = 1 << iota
	Key
	Action
	Value
	Topic

	allText = Table | Key | Action | Value | Topic
)

// Fields is one decoded envelope.
type Fields struct {
	Table, Key, Action, Value, Topic string

	// Null is the set of the five that are nil on the wire, which is not the
	// same as empty. Decode makes their string ""; Append ignores it.
	Null Mask

	// Epoch and Seq are 0 when absent. Decode does not judge the pair: whoever
	// needs both checks both.
	Epoch, Seq uint64

	Version    uint64 // means something only when HasVersion
	HasVersion bool
}

// Validate reports why f can't be sent: the precondition of Append, for fields
// that come from outside. Its error is an Error with offset -1.
func (f *Fields) Validate() error {
	for i, s := range [...]string{f.Table, f.Key, f.Action, f.Value, f.Topic} {
		switch {
		case f.Null&(1<<i) != 0:
		case uint64(len(s)) > math.MaxUint32:
			return Error{KindTooLong, -1}
		case !utf8.ValidString(s):
			return Error{KindUTF8, -1}
		}
	}
	if f.Null&Action != 0 || f.Action == "" {
		return Error{KindAction, -1}
	}
	return nil
}

// field is a known key of the map; the first five are the bits of Mask.
type field uint8

const (
	fieldTable field = iota
	fieldKey
	fieldAction
	fieldValue
	fieldTopic
	fieldEpoch
	fieldSeq
	fieldVersion
	fieldUnknown
)

// The known keys as they are canonically written, header included.
const (
	keyTable   = "\xa5table"
	keyKey     = "\xa3key"
	keyAction  = "\xa6action"
	keyValue   = "\xa5value"
	keyTopic   = "\xa5topic"
	keyEpoch   = "\xa5epoch"
	keySeq     = "\xa3seq"
	keyVersion = "\xa7version"
)

// fieldOf returns the field that a key's text names.
func fieldOf(name []byte) field {
	switch string(name) {
	case keyTable[1:]:
		return fieldTable
	case keyKey[1:]:
		return fieldKey
	case keyAction[1:]:
		return fieldAction
	case keyValue[1:]:
		return fieldValue
	case keyTopic[1:]:
		return fieldTopic
	case keyEpoch[1:]:
		return fieldEpoch
	case keySeq[1:]:
		return fieldSeq
	case keyVersion[1:]:
		return fieldVersion
	}
	return fieldUnknown
}
