package zmq

import (
	"encoding/binary"
	"fmt"

	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// Commands between our own peers, besides those of ZMTP: see docs/adr/0006.
// Others neither get nor send them. Integers are big-endian.
const (
	commandResume = "WRESUME" // epoch, offset: the subscriptions that follow go on from there
	commandGo     = "WGO"     // these were all
	commandFrom   = "WFROM"   // how, head: where the stream goes on
	commandMark   = "WMARK"   // offset, messages: everything before was sent
)

// How a stream goes on.
const (
	fromMark byte = 0 // from where the subscriber said
	fromHead byte = 1 // what it missed is no longer retained
)

func appendResume(dst []byte, epoch, offset uint64) []byte {
	return appendNumbers(dst, commandResume, epoch, offset)
}

func appendMark(dst []byte, offset, messages uint64) []byte {
	return appendNumbers(dst, commandMark, offset, messages)
}

func appendFrom(dst []byte, how byte, head uint64) []byte {
	var data [9]byte
	data[0] = how
	binary.BigEndian.PutUint64(data[1:], head)
	return zmtp.AppendCommand(dst, commandFrom, data[:])
}

func appendNumbers(dst []byte, name string, a, b uint64) []byte {
	var data [16]byte
	binary.BigEndian.PutUint64(data[:], a)
	binary.BigEndian.PutUint64(data[8:], b)
	return zmtp.AppendCommand(dst, name, data[:])
}

// parseNumbers reads the data of WRESUME and WMARK. Later versions may append
// to it.
func parseNumbers(name string, data []byte) (a, b uint64, err error) {
	if len(data) < 16 {
		return 0, 0, shortCommand(name, data)
	}
	return binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:]), nil
}

func parseFrom(data []byte) (how byte, head uint64, err error) {
	if len(data) < 9 {
		return 0, 0, shortCommand(commandFrom, data)
	}
	return data[0], binary.BigEndian.Uint64(data[1:]), nil
}

func shortCommand(name string, data []byte) error {
	return &zmtp.ProtocolError{Kind: zmtp.KindCommand, Detail: fmt.Sprintf("%s with %d bytes", name, len(data))}
}
