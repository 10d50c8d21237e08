package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// The event that every rival carries: topic D and a Dragonflow envelope of 200
// bytes, a msgpack map of table, key, action, value, topic. The value is text
// that begins
//
//	{"w":"0","n":"0000000000000001","t":"0000000000000000"
//
// w is the worker, n its sequence from 1, t the intended send time in
// microseconds of CLOCK_MONOTONIC (0 when not paced). All at fixed places, so
// that a sender counts up in place and a reader finds them without decoding.
const (
	topic    = "D"
	bodySize = 200

	valueAt   = 74 // of the value's text in the body
	workerAt  = valueAt + len(`{"w":"`)
	seqAt     = workerAt + len(`0","n":"`)
	timeAt    = seqAt + digits + len(`","t":"`)
	valueSize = 118
	eventEnd  = timeAt + digits // a body must reach to here to be one of ours

	digits     = 16
	maxWorkers = 8

	// bodyOnWire is where the body begins in the bytes of one event: behind
	// the topic's frame (3 bytes) and the body's header of 2.
	bodyOnWire = 5
)

// newBody returns the body of a worker's event 0.
func newBody(worker int) []byte {
	text := fmt.Sprintf(`{"w":"%d","n":"%016d","t":"%016d","id":"`, worker, 0, 0)
	text += strings.Repeat("0123456789abcdef", 8)[:valueSize-len(text)-2] + `"}`

	b := []byte{0x85}
	b = appendText(b, "table")
	b = appendText(b, "lport")
	b = appendText(b, "key")
	b = appendText(b, "0b1f6d4e-2a57-4d4f-9a43-51a0b6b1f0aa")
	b = appendText(b, "action")
	b = appendText(b, "set")
	b = appendText(b, "value")
	b = appendText(b, text)
	b = appendText(b, "topic")
	return appendText(b, topic)
}

// appendText appends a msgpack str of less than 256 bytes.
func appendText(b []byte, s string) []byte {
	if len(s) < 32 {
		return append(append(b, 0xa0|byte(len(s))), s...)
	}
	return append(append(b, 0xd9, byte(len(s))), s...)
}

// stamp adds epoch and seq to a body, as a Wyvern publisher does, in the widest
// form: the sequence is the last 8 bytes.
func stamp(body []byte, epoch uint64) []byte {
	b := append([]byte{0x87}, body[1:]...)
	b = append(appendText(b, "epoch"), 0xcf)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(appendText(b, "seq"), 0xcf)
	return binary.BigEndian.AppendUint64(b, 0)
}

// wire returns the body as one ZMTP message: two frames.
func wire(body []byte) []byte {
	b := append([]byte{flagMore, byte(len(topic))}, topic...)
	if len(body) > 255 {
		panic("body needs a long frame")
	}
	return append(append(b, 0, byte(len(body))), body...)
}

// event is what a receiver checks of a body.
type event struct {
	worker int
	seq    uint64
	sentAt int64 // intended, CLOCK_MONOTONIC in ns
}

// parseEvent finds the event in a body, stamped or not. It's false when the body
// is no event of this program, such as a sync.
func parseEvent(body []byte) (event, bool) {
	if len(body) < eventEnd {
		return event{}, false
	}
	return parseValue(body[valueAt:])
}

// parseValue is parseEvent for the value's text alone.
func parseValue(text []byte) (event, bool) {
	if len(text) < eventEnd-valueAt || string(text[:6]) != `{"w":"` {
		return event{}, false
	}
	e := event{
		worker: int(text[workerAt-valueAt] - '0'),
		seq:    parseDigits(text[seqAt-valueAt:]),
		sentAt: int64(parseDigits(text[timeAt-valueAt:])) * 1000,
	}
	return e, e.worker < maxWorkers
}

// parseDigits reads 16 decimal digits, 8 at a time: a reader checks tens of
// millions of events per second, and a loop over digits would show.
func parseDigits(b []byte) uint64 {
	_ = b[digits-1]
	return eightDigits(b)*100_000_000 + eightDigits(b[8:])
}

func eightDigits(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b) - 0x3030303030303030
	v = v*10 + v>>8
	return (v&0x000000ff000000ff*0x000f424000000064 + v>>16&0x000000ff000000ff*0x0000271000000001) >> 32
}

// putDigits writes 16 decimal digits.
func putDigits(b []byte, n uint64) {
	for i := digits - 1; i >= 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
}

// countUp adds 1 to 16 decimal digits in place.
func countUp(b []byte) {
	for i := digits - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return
		}
		b[i] = '0'
	}
}
