package fanlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
)

// ErrSaved is what is wrong when Options.Restore does not give a saved log that
// is whole.
var ErrSaved = errors.New("no saved log that can be used")

// maxOffset bounds offsets that are believed: nobody counts so far.
const maxOffset = math.MaxInt64

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSaved, fmt.Sprintf(format, args...))
}

// restore fills an empty log with a saved one, whose events it counts on from.
// What is more than the budget goes as when it is appended. The reader is not
// read past the end of the saved log. What it gives may be anything: no more is
// allocated than a small multiple of what is read. After an error the log
// is of no use.
func (l *log) restore(r io.Reader) error {
	magic := make([]byte, len(saveMagic))
	if err := readFull(r, magic); err != nil {
		return err
	}
	if string(magic) != saveMagic {
		return damaged("it begins with %q, want %q", magic, saveMagic)
	}
	var payload []byte
	for first := true; ; first = false {
		var err error
		if payload, err = readBlock(r, payload[:0]); err != nil {
			return err
		}
		kind, offset, rest := payload[0], binary.BigEndian.Uint64(payload[1:]), payload[9:]
		if offset > maxOffset {
			return damaged("offset %d", offset)
		}
		l.mu.Lock()
		if first {
			l.segs[0].base = offset
		}
		head := l.headLocked()
		l.mu.Unlock()
		switch {
		case offset != head:
			return damaged("block of offset %d, want %d", offset, head)
		case kind == kindEvents:
			if err := l.restoreEvents(rest, len(payload) > saveBlock); err != nil {
				return err
			}
		case kind == kindEnd && len(rest) == 0:
			return nil
		default:
			return damaged("block of kind %q and %d bytes", kind, len(payload))
		}
	}
}

// readBlock reads a block and returns its payload, of 9 bytes or more.
func readBlock(r io.Reader, payload []byte) ([]byte, error) {
	var head [saveHead]byte
	if err := readFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < 9 || size > maxPayload {
		return nil, damaged("block of %d bytes", size)
	}
	for left := int(size); left > 0; { // what is claimed is believed when it comes
		n := min(left, saveBlock)
		payload = slices.Grow(payload, n)
		payload = payload[:len(payload)+n]
		if err := readFull(r, payload[len(payload)-n:]); err != nil {
			return nil, err
		}
		left -= n
	}
	if got, want := crc32.Checksum(payload, castagnoli), binary.BigEndian.Uint32(head[4:]); got != want {
		return nil, damaged("checksum %08x, want %08x", got, want)
	}
	return payload, nil
}

// restoreEvents appends the events of a block; one, where only is set.
func (l *log) restoreEvents(p []byte, only bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names [][]byte
	for len(p) > 0 {
		var f Frame
		place, rest, err := number(p)
		switch {
		case err != nil:
			return err
		case place > uint64(len(names)):
			return damaged("topic %d of %d", place, len(names))
		case place > 0:
			f.Topic = names[place-1]
		default:
			if f.Topic, rest, err = text(rest); err != nil {
				return err
			}
			names = append(names, f.Topic)
		}
		if f.Parts[0], p, err = text(rest); err != nil {
			return err
		}
		if only && len(p) > 0 {
			return damaged("several events in a long block")
		}
		l.appendLocked(&f)
	}
	return nil
}

// number cuts a varint off.
func number(p []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(p)
	if size <= 0 {
		return 0, nil, damaged("bad number")
	}
	return n, p[size:], nil
}

// text cuts a length and so many bytes off.
func text(p []byte) (s, rest []byte, err error) {
	n, p, err := number(p)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(p)) {
		return nil, nil, damaged("%d bytes of %d", len(p), n)
	}
	return p[:n], p[n:], nil
}

// readFull is io.ReadFull with an error that tells what the end means here.
func readFull(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return damaged("it is cut off")
	}
	return err
}
