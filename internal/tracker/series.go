package tracker

import "time"

// series is what one publisher says on a topic.
type series struct {
	topic *Topic
	pub   *Publisher
	epoch uint64 // of the numbers
	last  uint64 // the highest number that was delivered, or is covered
	base  uint64 // numbers below were taken to be of before, without being told
	// before is what was heard when the name was held before.
	before heard
	jump   bool // what lies between last and the next number was told

	due    *due  // the resync that is to be told; nil: none
	failed uint8 // times in a row that the handler failed on a resync

	// What overtook others waits, for one of them or until it is overdue. Of
	// the numbers that a beacon gave only the highest counts.
	held    []item // by number, all above last
	tail    uint64 // 0, or above last
	tailAt  time.Duration
	overdue *due // nil: nothing waits
}

// begin makes the series one of an epoch, and says whether nothing was seen of
// it so far.
func (s *series) begin(epoch uint64) (first bool) {
	if s.epoch != epoch {
		s.epoch, s.last, s.base, s.jump = epoch, 0, 0, false
		s.held, s.tail, s.overdue = nil, 0, nil
	}
	return s.last == 0
}

// covered says that a resync is due which makes events needless.
func (s *series) covered() bool { return s.due != nil && s.due.covers }

// reach notes that everything up to a number was delivered or is covered.
func (tr *Tracker) reach(s *series, seq uint64) {
	s.last, s.jump = seq, false
	if s.overdue == nil {
		return
	}
	i := 0
	for i < len(s.held) && s.held[i].seq <= seq {
		s.held[i] = item{}
		i++
	}
	s.held = s.held[i:]
	if s.tail <= seq {
		s.tail = 0
	}
	tr.wait(s)
}

// swallow gives up what is missing and what waits: a resync covers all of it.
func (s *series) swallow() {
	if s.overdue == nil {
		return
	}
	s.last = max(s.last, s.tail)
	if n := len(s.held); n > 0 {
		s.last = max(s.last, s.held[n-1].seq)
	}
	s.held, s.tail, s.overdue = nil, 0, nil
}
