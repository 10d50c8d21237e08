package wyvern

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// A hand-over is what a publisher leaves for the next one: a header with its
// identity, its epoch and the last number of each topic, and then what its
// driver retains.
//
//	magic  id  epoch:8  floor:8  topics { topic  last }  checksum:4  retained:1  ...
//
// Texts have their length in front. Lengths, counts and last are uvarints, the
// other integers big-endian.
const handoverMagic = "wyvern hand-over 1\n"

var errHandover = errors.New("not a hand-over of this version, or damaged")

// Save writes what another publisher needs to go on where this one stopped, as
// PublisherOptions.Restore. Call it after [Publisher.Shutdown] or Close. What
// it writes must be restored at most once, or two publishers give the same
// numbers to different events.
//
// Where the driver retains nothing, only the numbers are handed over.
func (p *Publisher) Save(w io.Writer) error {
	select {
	case <-p.closed:
	default:
		return wrap("save publisher", p.name, "", errors.New("it is not closed"))
	}
	select {
	case p.lock <- struct{}{}: // nobody holds it for long any more
		defer func() { <-p.lock }()
	case <-p.ended: // or Shutdown, for ever
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err := p.saveHeader(out)
	if err == nil {
		saver, ok := p.half.(driver.Saver)
		out.WriteByte(map[bool]byte{true: 1}[ok])
		if err = out.Flush(); err == nil && ok {
			err = saver.Save(w)
		}
	}
	return wrap("save publisher", p.name, "", err)
}

func (p *Publisher) saveHeader(w io.Writer) error {
	sum := crc32.NewIEEE()
	out := io.MultiWriter(w, sum)
	var buf []byte
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	buf = append(buf, handoverMagic...)
	text(p.id)
	buf = binary.BigEndian.AppendUint64(buf, p.epoch)
	buf = binary.BigEndian.AppendUint64(buf, p.book.Floor())
	count := 0
	for range p.book.All() {
		count++
	}
	buf = binary.AppendUvarint(buf, uint64(count))
	for topic, last := range p.book.All() {
		text(topic)
		buf = binary.AppendUvarint(buf, last)
		if len(buf) > 32<<10 {
			if _, err := out.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if _, err := out.Write(buf); err != nil {
		return err
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// handover is the header of what a publisher left.
type handover struct {
	id       string
	epoch    uint64
	floor    uint64
	last     map[string]uint64
	retained bool
}

// readHandover reads a header. r is then at what the driver left.
func readHandover(r *bufio.Reader) (*handover, error) {
	in := &summed{r: r, sum: crc32.NewIEEE()}
	magic := make([]byte, len(handoverMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != handoverMagic {
		return nil, errHandover
	}
	h := &handover{last: make(map[string]uint64)}
	h.id = in.text()
	h.epoch = in.uint64()
	h.floor = in.uint64()
	for n := in.uvarint(); n > 0 && in.err == nil; n-- {
		topic := in.text()
		last := in.uvarint()
		if in.err == nil && checkTopic(topic) != nil {
			return nil, errHandover
		}
		h.last[topic] = last
	}
	want := in.sum.Sum32()
	var tail [5]byte
	if in.err == nil {
		_, in.err = io.ReadFull(r, tail[:])
	}
	if in.err != nil || binary.BigEndian.Uint32(tail[:]) != want || h.epoch == 0 {
		return nil, errHandover
	}
	h.retained = tail[4] == 1
	return h, nil
}

// summed reads the header's parts and computes their checksum. After an error
// it returns zeros.
type summed struct {
	r   *bufio.Reader
	sum hash.Hash32
	err error
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.sum.Write([]byte{b})
	}
	return b, err
}

func (s *summed) uvarint() uint64 {
	if s.err != nil {
		return 0
	}
	var n uint64
	n, s.err = binary.ReadUvarint(s)
	return n
}

func (s *summed) uint64() uint64 {
	var b [8]byte
	if s.err == nil {
		_, s.err = io.ReadFull(s, b[:])
	}
	return binary.BigEndian.Uint64(b[:])
}

// maxHandoverText bounds a text of the header: an identity is longer than a
// topic may be, but not by much.
const maxHandoverText = 4 << 10

func (s *summed) text() string {
	n := s.uvarint()
	if n > maxHandoverText {
		s.err = fmt.Errorf("a text of %d bytes", n)
	}
	if s.err != nil {
		return ""
	}
	b := make([]byte, n)
	_, s.err = io.ReadFull(s, b)
	return string(b)
}
