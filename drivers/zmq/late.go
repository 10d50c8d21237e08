package zmq

import (
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// lateAfter is how long a subscription that came into force when nobody waited
// for it is kept back as a notice: who calls Await in that time knows.
const lateAfter = time.Second

// tellLate gives the notices that nobody made needless by Await.
func (s *subscriber) tellLate() {
	s.mu.Lock()
	late := slices.DeleteFunc(s.late, func(m driver.Message) bool {
		_, held := s.topics[string(m.Topic)]
		return !held
	})
	s.late, s.later = nil, nil
	if !s.closed && len(late) > 0 {
		// Not under the lock, and not without an owner: the inbox may be full.
		s.wg.Go(func() { s.in.note(late) })
	}
	s.mu.Unlock()
}
