package envelope

import "slices"

// MaxGrowth is how many bytes longer than the body the result of Renumber can
// be: epoch and seq, and two more for the header of a map that they make too
// large for its form.
const MaxGrowth = stampSize + 2

// Renumber appends body to dst with epoch and seq as given, whatever it carried
// in their place: a worker's numbers are its own affair, or forged. Everything
// else stays byte for byte and in order, unknown keys too, but for two things:
// the map's header, which takes its shortest form, and known keys and their
// values in bin form, which become str, because a Python 3 node would see bytes
// objects and not find them. Our two entries go right behind the last of
// Dragonflow's five.
//
// It accepts exactly what Decode accepts, and besides that bodies whose own
// epoch or seq is not a number. On error it returns dst unchanged. It allocates
// only when dst has less room than len(body)+MaxGrowth. dst's spare room must not
// overlap body.
//
// Neither epoch nor seq may be 0, which means absent: that is a bug of the
// caller, and panics.
func Renumber(dst, body []byte, epoch, seq uint64) ([]byte, error) {
	if epoch == 0 || seq == 0 {
		panic("envelope: epoch and seq of an event must not be 0")
	}
	var l layout
	if err := l.scan(body); err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, len(body)+MaxGrowth)
	dst = appendMap(dst, l.count-uint32(l.cutEntries)+2)
	if l.cuts == 0 && l.nbins == 0 {
		// Almost always. The same as below, without its loops.
		dst = append(dst, body[l.head:l.join]...)
		dst = appendStamp(dst, epoch, seq)
		return append(dst, body[l.join:]...), nil
	}
	dst = l.appendPart(dst, body, l.head, l.join)
	dst = appendStamp(dst, epoch, seq)
	return l.appendPart(dst, body, l.join, uint32(len(body))), nil
}

// appendPart appends body[start:end] without what is cut. Entries are cut as a
// whole, and start and end lie between entries, so a cut is inside or outside.
func (l *layout) appendPart(dst, body []byte, start, end uint32) []byte {
	for _, c := range l.cut[:l.cuts] {
		if c.start >= start && c.end <= end {
			dst = l.appendStr(dst, body, start, c.start)
			start = c.end
		}
	}
	return l.appendStr(dst, body, start, end)
}

// appendStr appends body[start:end] with the bin tags in it made str.
func (l *layout) appendStr(dst, body []byte, start, end uint32) []byte {
	base := len(dst)
	dst = append(dst, body[start:end]...)
	for _, at := range l.bins[:l.nbins] {
		if at >= start && at < end {
			dst[base+int(at-start)] += binToStr
		}
	}
	return dst
}
