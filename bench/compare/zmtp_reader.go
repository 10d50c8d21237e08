package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Flags of a ZMTP frame.
const (
	flagMore    = 0x01
	flagLong    = 0x02
	flagCommand = 0x04
)

const maxFrame = 1 << 20

var (
	errFrameSize  = errors.New("frame is too large")
	errFrameOrder = errors.New("message is not a topic and a body")
	errPeerClosed = errors.New("peer closed the connection")
)

// stream is one subscriber's connection, as far as its bytes go.
type stream struct {
	last   [maxWorkers]uint64 // sequence per worker
	carry  []byte             // the part of a frame at the end of the last read
	inBody bool               // the topic's frame was read
}

// ledger is where streams enter what they received.
type ledger struct {
	tally   tally   // of all streams together
	now     int64   // when the bytes being parsed were read
	record  bool    // whether to keep latencies
	latency []int64 // receive time minus intended send time, ns
}

// parse enters every whole event of data, and returns the rest: a frame that is
// not complete.
func (s *stream) parse(data []byte, l *ledger) ([]byte, error) {
	for len(data) >= 2 {
		flags, size, head := data[0], uint64(data[1]), uint64(2)
		if flags&flagLong != 0 {
			if len(data) < 9 {
				break
			}
			size, head = binary.BigEndian.Uint64(data[1:]), 9
		}
		if size > maxFrame {
			return nil, errFrameSize
		}
		if uint64(len(data)) < head+size {
			break
		}
		payload := data[head : head+size]
		data = data[head+size:]
		if err := s.frame(flags, payload, l); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (s *stream) frame(flags byte, payload []byte, l *ledger) error {
	more := flags&flagMore != 0
	switch {
	case flags&flagCommand != 0:
		return nil
	case s.inBody == more:
		return errFrameOrder
	case more:
		if string(payload) != topic {
			return fmt.Errorf("topic %q was not subscribed to", payload)
		}
		s.inBody = true
		return nil
	}
	s.inBody = false
	e, ok := parseEvent(payload)
	if !ok {
		l.tally.Other++
		return nil
	}
	s.last[e.worker] = l.tally.see(s.last[e.worker], e.seq)
	if l.record && e.sentAt > 0 {
		l.latency = append(l.latency, l.now-e.sentAt)
	}
	return nil
}
