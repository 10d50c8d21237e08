package envelope

import (
	"encoding/binary"
	"math"
)

// The stamp is epoch and seq with their keys, see appendStamp: where the two
// numbers begin in it, and its length. Their width is fixed although shorter forms
// exist: an epoch is random, so it needs all its bytes; a seq would save four of
// some two hundred, and pay for it with a branch here, with bodies whose length
// changes as the numbers grow, and with the two comparisons by which scanCanonical
// finds the stamp. Every msgpack reads both.
const (
	stampEpoch = len(keyEpoch) + 1
	stampSeq   = stampEpoch + 8 + len(keySeq) + 1
	stampSize  = stampSeq + 8
)

// overhead bounds what Append writes besides the text.
const overhead = 1 +
	len(keyTable) + len(keyKey) + len(keyAction) + len(keyValue) + len(keyTopic) +
	5*5 + stampSize + len(keyVersion) + 9

// MaxSize returns a bound, in bytes, of what Append writes for f.
func MaxSize(f *Fields) int {
	return overhead + len(f.Table) + len(f.Key) + len(f.Action) + len(f.Value) + len(f.Topic)
}

// Append appends the canonical encoding of f to dst. It allocates only when dst
// has too little room. Epoch and seq are written when Seq is not 0.
//
// The fields must be valid, see [Fields.Validate]: they are not checked here,
// because most come from a Decode or from constants.
func Append(dst []byte, f *Fields) []byte {
	count := byte(tagFixmap | 5)
	if f.Seq != 0 {
		count += 2
	}
	if f.HasVersion {
		count++
	}
	dst = append(dst, count)
	dst = append(dst, keyTable...)
	dst = appendText(dst, f.Table, f.Null&Table)
	dst = append(dst, keyKey...)
	dst = appendText(dst, f.Key, f.Null&Key)
	dst = append(dst, keyAction...)
	dst = appendText(dst, f.Action, f.Null&Action)
	dst = append(dst, keyValue...)
	dst = appendText(dst, f.Value, f.Null&Value)
	dst = append(dst, keyTopic...)
	dst = appendText(dst, f.Topic, f.Null&Topic)
	if f.Seq != 0 {
		dst = appendStamp(dst, f.Epoch, f.Seq)
	}
	if f.HasVersion {
		dst = append(dst, keyVersion...)
		dst = appendUint(dst, f.Version)
	}
	return dst
}

func appendText(dst []byte, s string, null Mask) []byte {
	if null != 0 {
		return append(dst, tagNil)
	}
	switch n := len(s); {
	case n < 1<<5:
		dst = append(dst, tagFixstr|byte(n))
	case n < 1<<8:
		dst = append(dst, tagStr8, byte(n))
	case n < 1<<16:
		dst = append(dst, tagStr16, byte(n>>8), byte(n))
	default:
		dst = append(dst, tagStr32, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, s...)
}

// appendUint writes the shortest form, as Python's packer does.
func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v < tagFixmap:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, tagUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, tagUint16), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, tagUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, tagUint64), v)
}

// appendStamp writes epoch and seq with their keys: stampSize bytes.
func appendStamp(dst []byte, epoch, seq uint64) []byte {
	dst = append(dst, keyEpoch+"\xcf"...)
	dst = binary.BigEndian.AppendUint64(dst, epoch)
	dst = append(dst, keySeq+"\xcf"...)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// appendMap writes the header of a map in its shortest form.
func appendMap(dst []byte, count uint32) []byte {
	switch {
	case count < 1<<4:
		return append(dst, tagFixmap|byte(count))
	case count <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, tagMap16), uint16(count))
	}
	return binary.BigEndian.AppendUint32(append(dst, tagMap32), count)
}
