package proxy

import "encoding/binary"

// Of the wire of ZMTP 3, which is here on purpose a second time, apart from the
// product's: a greeting, then frames of flags, size and body.
const (
	greetingSize = 64

	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// maxHeld bounds what is held back of a message; a longer one passes.
const maxHeld = 8 << 20

// splitter follows a stream and takes messages out of it.
type splitter struct {
	armed   func() bool                   // whether a message is wanted
	swallow func(topic, body []byte) bool // whether it is this one

	greeted int    // bytes of the greeting
	header  []byte // of a frame, incomplete
	left    uint64 // bytes of the frame's body that are still to come
	flags   byte   // of the frame
	message bool   // the frame belongs to a message that is under way

	holding bool     // the message is held back
	held    []byte   // what there is of it
	bodies  [][2]int // of its frames, in held

	out []byte
}

// feed takes bytes of the stream and returns what goes on, which is valid until
// the next call.
func (s *splitter) feed(p []byte) []byte {
	s.out = s.out[:0]
	if n := min(len(p), greetingSize-s.greeted); n > 0 {
		s.greeted += n
		s.out = append(s.out, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		if s.left > 0 {
			n := int(min(uint64(len(p)), s.left))
			s.put(p[:n])
			s.left -= uint64(n)
			p = p[n:]
		} else {
			s.header = append(s.header, p[0])
			p = p[1:]
			if !s.begin() {
				continue
			}
		}
		if s.left == 0 {
			s.endFrame()
		}
	}
	return s.out
}

// begin begins a frame when its header is complete.
func (s *splitter) begin() bool {
	long := s.header[0]&flagLong != 0
	switch {
	case !long && len(s.header) == 2:
		s.left = uint64(s.header[1])
	case long && len(s.header) == 9:
		s.left = binary.BigEndian.Uint64(s.header[1:])
	default:
		return false
	}
	s.flags = s.header[0]
	if !s.message && s.flags&flagCommand == 0 {
		s.message = true
		s.holding = s.armed()
	}
	s.put(s.header)
	if s.holding {
		s.bodies = append(s.bodies, [2]int{len(s.held), len(s.held)})
	}
	s.header = s.header[:0]
	return true
}

// put passes bytes on, or holds them back.
func (s *splitter) put(p []byte) {
	if !s.holding {
		s.out = append(s.out, p...)
		return
	}
	s.held = append(s.held, p...)
	if len(s.held) > maxHeld {
		s.release()
	}
}

// release passes on what was held back.
func (s *splitter) release() {
	s.out = append(s.out, s.held...)
	s.drop()
}

func (s *splitter) drop() {
	s.holding, s.held, s.bodies = false, s.held[:0], s.bodies[:0]
}

// endFrame is called when a frame is complete, and decides about the message
// after its last one.
func (s *splitter) endFrame() {
	if s.holding {
		s.bodies[len(s.bodies)-1][1] = len(s.held)
	}
	if !s.message || s.flags&flagMore != 0 {
		return
	}
	s.message = false
	if !s.holding {
		return
	}
	// An event is two frames.
	if len(s.bodies) == 2 {
		topic, body := s.bodies[0], s.bodies[1]
		if s.swallow(s.held[topic[0]:topic[1]], s.held[body[0]:body[1]]) {
			s.drop()
			return
		}
	}
	s.release()
}
