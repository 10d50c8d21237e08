package fanlog

import "errors"

// ErrSubscriptions is returned when a session holds as many subscriptions as
// it may.
var ErrSubscriptions = errors.New("too many subscriptions")

// Subscribe makes the session receive the topic of that very name. From its
// return on nothing that is appended to the topic is missed.
func (s *Session) Subscribe(name string) error {
	if s.exact[name] {
		return nil
	}
	if s.count >= s.loop.fan.opts.MaxSubscriptions {
		return ErrSubscriptions
	}
	s.count++
	if s.exact == nil {
		s.exact = make(map[string]bool)
	}
	s.exact[name] = true
	s.round = 0
	s.hold(s.loop.index.named(name), 1)
	return nil
}

// Unsubscribe undoes Subscribe.
func (s *Session) Unsubscribe(name string) {
	if !s.exact[name] {
		return
	}
	delete(s.exact, name)
	s.count--
	s.round = 0
	s.letGo(s.loop.index.named(name), 1)
}

// SubscribePrefix makes the session receive every topic that begins with
// text, as ZeroMQ does: twice the same is to be undone twice, and the empty
// text matches everything.
func (s *Session) SubscribePrefix(text string) error {
	if s.count >= s.loop.fan.opts.MaxSubscriptions {
		return ErrSubscriptions
	}
	s.count++
	if s.patterns == nil {
		s.patterns = make(map[string]int)
	}
	s.patterns[text]++
	s.round = 0
	if text == "" {
		s.greedy = true
		s.loop.greedy[s] = struct{}{}
		return nil
	}
	s.loop.index.addPrefix(s, text)
	return nil
}

// UnsubscribePrefix undoes one SubscribePrefix.
func (s *Session) UnsubscribePrefix(text string) {
	if s.patterns[text] == 0 {
		return
	}
	s.count--
	s.round = 0
	if s.patterns[text]--; s.patterns[text] == 0 {
		delete(s.patterns, text)
	}
	if text == "" {
		if s.patterns[""] == 0 {
			s.greedy = false
			delete(s.loop.greedy, s)
		}
		return
	}
	s.loop.index.removePrefix(s, text, 1)
}

// Subscriptions returns what the session asked for: exact names, and prefixes.
func (s *Session) Subscriptions() (exact, prefixes []string) {
	for name := range s.exact {
		exact = append(exact, name)
	}
	for text := range s.patterns {
		prefixes = append(prefixes, text)
	}
	return exact, prefixes
}

// Held returns how many subscriptions there are.
func (s *Session) Held() int { return s.count }

// hold adds count holds on a topic.
func (s *Session) hold(h *held, count int) {
	s.work++
	g := s.holdings[h]
	if g == nil {
		if s.holdings == nil {
			s.holdings = make(map[*held]*holding)
		}
		g = &holding{session: s, held: h, at: len(h.holders)}
		h.holders = append(h.holders, g)
		s.holdings[h] = g
	}
	g.count += count
}

// letGo removes count holds on a topic.
func (s *Session) letGo(h *held, count int) {
	s.work++
	if g := s.holdings[h]; g != nil {
		if g.count -= count; g.count <= 0 {
			s.drop(h)
		}
	}
}

func (s *Session) drop(h *held) {
	g := s.holdings[h]
	delete(s.holdings, h)
	last := len(h.holders) - 1
	h.holders[g.at] = h.holders[last]
	h.holders[g.at].at = g.at
	h.holders[last] = nil
	h.holders = h.holders[:last]
	s.loop.index.release(h)
}
