package tracker

import "math/bits"

// Sketch returns in what kind of state a topic's series of a publisher is, as a
// few bits, so that a simulation can say how many kinds it reached.
func (tr *Tracker) Sketch(t *Topic, p *Publisher) uint32 {
	s := tr.of(t, p)
	var k uint32
	add := func(width int, n uint32) { k = k<<width | min(n, 1<<width-1) }
	flag := func(b bool) {
		if b {
			add(1, 1)
		} else {
			add(1, 0)
		}
	}
	flag(s.last == 0)
	flag(s.jump)
	flag(s.epoch == p.epoch)
	flag(s.overdue != nil)
	flag(s.tail != 0)
	add(2, uint32(bits.Len(uint(len(s.held)))))
	if s.due != nil {
		add(3, uint32(s.due.why))
	} else {
		add(3, 0)
	}
	flag(s.covered())
	add(2, uint32(s.failed))
	add(2, uint32(len(p.past)))
	flag(p.heart.lost)
	flag(p.forgotten)
	return k
}
