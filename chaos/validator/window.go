package validator

// window is a time for which a session holds a topic. The times are 0 until
// they are known.
type window struct {
	call, ret     int64 // of Subscribe
	uncall, unret int64 // of Unsubscribe
	// told is when the first RESYNC of the topic came, by publisher: from then
	// on the publisher's events have to come, whether Subscribe has returned or
	// not.
	told map[string]int64
}

func (w *window) tell(publisher string, at int64) {
	if w.told == nil {
		w.told = make(map[string]int64)
	}
	if w.told[publisher] == 0 {
		w.told[publisher] = at
	}
}

// from is when a publisher's events begin to be owed; 0: not yet.
func (w *window) from(publisher string) int64 {
	at := w.ret
	for _, told := range []int64{w.told[publisher], w.told[""]} {
		if told != 0 && (at == 0 || told < at) {
			at = told
		}
	}
	return at
}

// windows are those of one topic of a session, in order.
type windows []*window

// at returns the latest one that had begun, or nil.
func (ws windows) at(t int64) *window {
	for i := len(ws) - 1; i >= 0; i-- {
		if ws[i].call <= t {
			return ws[i]
		}
	}
	return nil
}

// retaken says whether the one that is open at t came less than within after
// another, and was confirmed, if at all, less than that before.
func (ws windows) retaken(t, within int64) bool {
	for i := len(ws) - 1; i > 0; i-- {
		if w := ws[i]; w.call <= t {
			return w.call-ws[i-1].uncall < within && (w.ret == 0 || t-w.ret < within)
		}
	}
	return false
}

// last returns the one that is open, or nil.
func (ws windows) last() *window {
	if len(ws) == 0 {
		return nil
	}
	return ws[len(ws)-1]
}

// since drops those that ended before t.
func (ws windows) since(t int64) windows {
	for len(ws) > 1 && ws[0].unret != 0 && ws[0].unret < t {
		ws = ws[1:]
	}
	return ws
}
