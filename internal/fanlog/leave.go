package fanlog

// leaveTurn bounds how many holds a round lets go for sessions that are closed.
// The peer chose their number, and it is not to be a pause for the others.
const leaveTurn = 5000

// dismiss removes a closed session from the index: at once, or bit by bit.
func (l *loop) dismiss(s *Session) {
	s.greedy = false
	delete(l.greedy, s)
	if !s.unsubscribe(leaveTurn / 10) {
		l.leaving = append(l.leaving, s)
	}
}

// dismissSome goes on with what dismiss began.
func (l *loop) dismissSome() {
	if n := len(l.leaving); n > 0 && l.leaving[n-1].unsubscribe(leaveTurn) {
		l.leaving[n-1] = nil
		l.leaving = l.leaving[:n-1]
	}
}

// unsubscribe removes about so many of the session's holds from the index, and
// says whether that was all.
func (s *Session) unsubscribe(holds int) bool {
	x := s.loop.index
	begin := s.work
	for text, times := range s.patterns {
		if s.work-begin >= uint64(holds) {
			return false
		}
		s.work++
		delete(s.patterns, text)
		if text != "" {
			x.removePrefix(s, text, times)
		}
	}
	for h := range s.holdings {
		if s.work-begin >= uint64(holds) {
			return false
		}
		s.work++
		s.drop(h)
	}
	s.patterns, s.exact, s.holdings, s.count = nil, nil, nil, 0
	return true
}
