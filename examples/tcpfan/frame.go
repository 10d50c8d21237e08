package tcpfan

import (
	"encoding/binary"
	"errors"
	"io"
)

// The kinds of frames.
const (
	subscribe   = 'S'
	unsubscribe = 'U'
	message     = 'M'
)

// frame is one unit on the wire.
type frame struct {
	kind           byte
	topic, payload []byte
}

var errFrame = errors.New("not a frame, or too large a one")

// appendFrame encodes a frame.
func appendFrame(p []byte, f frame) []byte {
	p = append(p, f.kind, byte(len(f.topic)))
	p = binary.BigEndian.AppendUint32(p, uint32(len(f.payload)))
	p = append(p, f.topic...)
	return append(p, f.payload...)
}

// readFrame reads one, of which the payload has no more than so many bytes.
// Nothing is allocated before that is known.
func readFrame(r io.Reader, limit int) (frame, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	topic, size := int(head[1]), binary.BigEndian.Uint32(head[2:])
	if head[0] != subscribe && head[0] != unsubscribe && head[0] != message || topic == 0 || uint64(size) > uint64(limit) {
		return frame{}, errFrame
	}
	body := make([]byte, topic+int(size))
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, err
	}
	return frame{head[0], body[:topic:topic], body[topic:]}, nil
}
