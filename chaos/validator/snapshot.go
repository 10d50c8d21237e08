package validator

// Snapshot returns records that bring a new Checker to where this one is, right
// after a Check: what comes later can be checked by itself, without everything
// that came before.
func (c *Checker) Snapshot() []Record {
	var rs []Record
	for _, s := range c.sessions {
		rs = append(rs, Record{Kind: KindOpen, Session: s.name, Node: s.node, Unnumbered: s.unnumbered})
		for topic, ws := range s.topics {
			for _, w := range ws {
				add := func(kind Kind, at int64) {
					if at != 0 {
						rs = append(rs, Record{Kind: kind, At: at, Session: s.name, Topic: topic})
					}
				}
				add(KindSubscribe, w.call)
				add(KindSubscribed, w.ret)
				add(KindUnsubscribe, w.uncall)
				add(KindUnsubscribed, w.unret)
			}
		}
		for of, p := range s.positions {
			r := Record{Kind: KindLast, Session: s.name, Publisher: of.publisher, Topic: of.topic, Epoch: p.epoch, Seq: p.seq}
			if p.window != nil {
				r.At = p.window.call
			}
			if s.toldSince(of, p.at) {
				r.Reason = "told"
			}
			rs = append(rs, r)
		}
		for of, n := range s.counts {
			rs = append(rs, Record{Kind: KindCount, Session: s.name, Worker: of.worker, Topic: of.topic, N: n})
		}
	}
	for of, n := range c.reached {
		rs = append(rs, Record{Kind: KindCount, Worker: of.worker, Topic: of.topic, N: n})
	}
	for _, f := range c.faults {
		rs = append(rs, Record{Kind: KindFault, Fault: f.kind, At: f.start, End: f.end, On: f.on, Confirmed: f.confirmed, Proof: f.proof})
	}
	for worker, at := range c.killed {
		rs = append(rs, Record{Kind: KindKilled, At: at, Worker: worker})
	}
	return rs
}

// restore takes the last number of a stream from a snapshot.
func (s *session) restore(r *Record) {
	of := stream{r.Publisher, r.Topic}
	p := &position{epoch: r.Epoch, seq: r.Seq, at: s.count}
	for _, w := range s.topics[r.Topic] {
		if w.call == r.At {
			p.window = w
		}
	}
	s.positions[of] = p
	if r.Reason != "" {
		s.count++
		s.lastTold[of] = s.count
	}
	if s.epochs[r.Publisher] == nil {
		s.epochs[r.Publisher] = make(map[uint64]bool)
	}
	// Which of several epochs is the present one is not known: none is past.
	s.epochs[r.Publisher][r.Epoch] = true
}
