package sim

// horizon is how far ahead something can be planned, in milliseconds: a power
// of two.
const horizon = 1 << 13

// calendar is what will happen: a list for each millisecond, in the order in
// which it was planned.
type calendar struct {
	now  int64
	days [horizon][]item
}

// item is something that happens: the arrival of a message, mostly.
type item struct {
	kind      kind
	pub, sub  uint8
	link      uint8
	again     bool // a copy
	topic     uint16
	conn, idx uint32
	epoch     uint64
	seq       uint64 // of an event; or an offset
	n         uint64 // how many, or which
}

func (c *calendar) reset() {
	c.now = 0
	for i := range c.days {
		c.days[i] = c.days[i][:0]
	}
}

// at plans something so many milliseconds ahead.
func (c *calendar) at(delay int64, it item) {
	day := &c.days[(c.now+min(max(delay, 1), horizon-1))%horizon]
	*day = append(*day, it)
}

// today calls f with all that happens now, and goes on to the next
// millisecond.
func (c *calendar) today(f func(*item)) {
	day := &c.days[c.now%horizon]
	for i := range *day {
		f(&(*day)[i])
	}
	*day = (*day)[:0]
	c.now++
}
