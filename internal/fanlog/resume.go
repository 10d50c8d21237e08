package fanlog

import "github.com/wyvern-pubsub/wyvern/internal/plant"

// markEvery is how many bytes a session is sent between two marks.
const markEvery = 128 << 10

// Marker is a Handler that puts marks into the stream of its session: bytes by
// which the peer can tell that it has everything, and from where to go on
// another time.
type Marker interface {
	// Mark is called after every 128 KiB that the session was sent, with what
	// Position returns. What it sends comes before the next event.
	Mark(s *Session, offset, messages uint64)
}

// makeMark gives the handler the occasion to make a mark.
func (s *Session) makeMark() error {
	s.mark = s.sent
	if offset, messages, whole := s.Position(); whole {
		s.marker.Mark(s, offset, messages)
	}
	return s.ending
}

// Position returns where the session stands: what is sent with Send now comes
// after every event before offset that the session was entitled to, and after
// none that follows. messages is how many events that were since it was
// attached, those that came twice after Resume counted twice. An event that was
// begun is among them: it is completed before anything is put after it.
//
// whole is false, and the offset means nothing, when the session lost events
// and Handler.Lost was not called yet.
func (s *Session) Position() (offset, messages uint64, whole bool) {
	if s.closed || s.lost {
		return 0, s.messages, false
	}
	w := s.loop.window
	switch {
	case !s.active || s.caught:
		offset, whole = w.offset(w.head)
		return offset, s.messages, whole
	case plant.On(plant.MarkOvertakes):
		messages = s.messages
		if s.at.skip > 0 {
			messages++
		}
		offset, whole = w.offset(w.head)
		return offset, messages, whole
	case s.at.skip > 0:
		offset, whole = w.offset(next(s.at))
		return offset, s.messages + 1, whole
	}
	offset, whole = w.offset(s.at)
	return offset, s.messages, whole
}

// Resume makes the session go on, or begin, with the event that has this
// offset: it receives all from there on that matches its subscriptions, in
// order. What is given to Send right afterwards comes before all that.
// The offset may be that of the next event to be appended.
//
// It says no, and changes nothing, when that event is not retained any more, or
// was never appended; or when the session lost events and was not told yet, or
// is inside an event too large to be kept for it alone.
func (s *Session) Resume(offset uint64) bool {
	l := s.loop
	if s.closed || l.closing || s.lost {
		return false
	}
	at, ok := l.fan.log.locate(offset)
	if !ok || !s.caught && s.active && !s.detach(l.window.view(s.at.seg)) {
		return false
	}
	s.Activate()
	s.round = 0 // the round's lists are about another place
	s.at, s.caught = at, false
	if head, _ := l.window.offset(l.window.head); offset == head {
		s.caught = true
	}
	l.makeBusy(s)
	return true
}
