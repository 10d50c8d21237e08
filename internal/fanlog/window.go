package fanlog

// scanLimit bounds how many events one look at the log takes in, so that the
// lock is held for microseconds and a batch stays in the processor's cache.
const scanLimit = 4096

// position is a place in the log, at an event's start or, with skip > 0,
// inside it.
type position struct {
	seg   uint64 // segment sequence
	entry int    // index in that segment; may be one past its last
	skip  int    // bytes of that event that were passed already
}

func (p position) less(q position) bool {
	if p.seg != q.seg {
		return p.seg < q.seg
	}
	return p.entry < q.entry
}

// window is the part of the log that one loop looks at: the retained segments
// up to where the loop has scanned. It holds a reference to each of them, so
// that reading needs no lock. One goroutine owns it.
type window struct {
	log   *log
	views []view   // oldest first; never empty
	from  position // where the latest refresh began to scan
	head  position // everything before it is scanned and may be sent

	round   []newsItem // what refresh returns; used again
	dropped []view     // likewise

	// missed: the latest refresh found that events had retired unseen. The
	// throttle is there to prevent it; everybody lost something then.
	missed bool
}

// newsItem is one event that a refresh brought in.
type newsItem struct {
	at    position
	topic *topic
}

// openWindow returns a window at the beginning of the log.
func openWindow(l *log) *window {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.segs[0]
	seg.refs.Add(1)
	w := &window{log: l, views: []view{seg.view()}}
	w.head = position{seg: seg.seq}
	w.from = w.head
	return w
}

// refresh takes in what was appended since, up to scanLimit events, and what
// retired. It returns the new events, valid until the next call; the views
// that left the window, complete, which the caller must release before the
// next call; and whether there is more to take in.
func (w *window) refresh() (news []newsItem, dropped []view, more bool) {
	w.round, w.dropped = w.round[:0], w.dropped[:0]
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()

	first := l.segs[0].seq
	gone := 0
	for gone < len(w.views) && w.views[gone].seg.seq < first {
		gone++
	}
	if gone > 0 {
		for _, v := range w.views[:gone] {
			w.dropped = append(w.dropped, v.seg.view()) // its last state
		}
		kept := copy(w.views, w.views[gone:])
		clear(w.views[kept:])
		w.views = w.views[:kept]
	}
	// Scan from the head, or from the oldest retained event where the head
	// itself has retired.
	from := w.head
	w.missed = false
	if from.seg < first {
		last := w.dropped[len(w.dropped)-1]
		w.missed = from.seg+1 != first || from.entry != len(last.entries)
		from = position{seg: first}
	}
	w.from = from
	budget := scanLimit
	for i := int(from.seg - first); i < len(l.segs) && budget > 0; i++ {
		seg := l.segs[i]
		if n := len(w.views); n > 0 && w.views[n-1].seg == seg {
			w.views[n-1] = seg.view()
		} else {
			seg.refs.Add(1)
			w.views = append(w.views, seg.view())
		}
		v := &w.views[len(w.views)-1]
		k := 0
		if seg.seq == from.seg {
			k = from.entry
		}
		take := min(len(v.entries)-k, budget)
		for ; take > 0; take-- {
			w.round = append(w.round, newsItem{
				at:    position{seg: seg.seq, entry: k},
				topic: l.slots[v.entries[k].topic].topic,
			})
			k++
			budget--
		}
		w.head = position{seg: seg.seq, entry: k}
	}
	last := l.segs[len(l.segs)-1]
	more = w.head.seg != last.seq || w.head.entry != len(last.entries)
	return w.round, w.dropped, more
}

// behind says whether the log has events that the window has not taken in.
func (w *window) behind() bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	last := w.log.segs[len(w.log.segs)-1]
	return w.head.seg != last.seq || w.head.entry != len(last.entries)
}

// view returns the view of a segment; nil when it left the window.
func (w *window) view(seq uint64) *view {
	first := w.views[0].seg.seq
	if seq < first || seq-first >= uint64(len(w.views)) {
		return nil
	}
	return &w.views[seq-first]
}

// end returns the entry of a view at which the scanned part ends.
func (w *window) end(v *view) int {
	if v.seg.seq == w.head.seg {
		return w.head.entry
	}
	return len(v.entries)
}

// offset returns the number of events before a position. It says no when that
// retired and the window doesn't have it.
func (w *window) offset(p position) (uint64, bool) {
	if v := w.view(p.seg); v != nil {
		return v.seg.base + uint64(p.entry), true
	}
	// Not scanned yet (Session.Resume).
	base, ok := w.log.base(p.seg)
	return base + uint64(p.entry), ok
}

// close gives up every reference.
func (w *window) close() {
	for _, v := range w.views {
		w.log.release(v.seg)
	}
	w.views = nil
}
