package tracker

// minNames is how many names are remembered in any case.
const minNames = 1 << 16

// heard is what was delivered, or covered, under a name that was held before.
type heard struct {
	pub   *Publisher
	epoch uint64
	last  uint64
}

// inherit tells a new series what was delivered under the same name while it
// was held before: a driver that goes on from an older mark may say it again,
// and nothing is to come twice in a session.
//
// Names that were dropped are forgotten when they are more than the others: a
// subscriber that takes ever new topics must not grow.
func (tr *Tracker) inherit(s *series) {
	t := s.topic
	if old := tr.latest[t.Name]; old != t {
		if old != nil {
			t.before = old.summary()
		}
		tr.latest[t.Name] = t
		tr.sweepNames()
	}
	for _, b := range t.before {
		if b.pub == s.pub {
			s.before = b
		}
	}
}

// summary returns what the next holder of the name must know.
func (t *Topic) summary() (list []heard) {
	for _, s := range t.series {
		b := heard{s.pub, s.epoch, s.last}
		if s.before.last > b.last && (b.last == 0 || b.epoch == s.before.epoch) {
			b = s.before
		}
		if b.last > 0 {
			list = append(list, b)
		}
	}
	for _, b := range t.before {
		known := false
		for _, s := range t.series {
			known = known || s.pub == b.pub
		}
		if !known && !b.pub.forgotten {
			list = append(list, b)
		}
	}
	return list
}

func (tr *Tracker) sweepNames() {
	if len(tr.latest) < max(minNames, tr.sweepAt) {
		return
	}
	for name, t := range tr.latest {
		if t.dropped.Load() {
			delete(tr.latest, name)
		}
	}
	tr.sweepAt = 2 * len(tr.latest)
}
