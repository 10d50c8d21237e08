package inbox

import (
	"slices"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// MaxNotices is how many notices may wait before further ones are about every
// topic.
const MaxNotices = 8192

// notices is what is known of the notices that wait.
type notices struct {
	count int
	last  map[string][]notice // by topic, "": about every one; see passed
}

// notice is one that would be added in vain a second time.
type notice struct {
	kind      driver.Notice
	publisher string
	epoch     uint64
	at        uint64 // its place
}

// add notes a notice that is to be put at a place. no means that it is there.
func (w *notices) add(m *driver.Message, at uint64) bool {
	n := notice{kind: m.Notice, at: at}
	if m.Source != nil { // the address is for people
		n.publisher, n.epoch = m.Source.Publisher, m.Source.Epoch
	}
	if w.count >= MaxNotices {
		m.Topic = nil
	}
	topic := string(m.Topic)
	for _, o := range w.last[topic] {
		if o.at = at; o == n {
			return false
		}
	}
	if w.last == nil {
		w.last = make(map[string][]notice)
	}
	w.last[topic] = append(w.last[topic], n)
	w.count++
	return true
}

// passed notes that a message of a topic was put behind its notices, so that one
// that comes again has something else to say.
func (w *notices) passed(topic []byte) {
	if len(w.last) == 0 { // nearly always
		return
	}
	w.drop("")
	if _, some := w.last[string(topic)]; some {
		w.drop(string(topic))
	}
}

// taken notes that the notice of a place is handed out: it says nothing of what
// happens from now on.
func (w *notices) taken(m *driver.Message, at uint64) {
	w.count--
	list := w.last[string(m.Topic)]
	i := slices.IndexFunc(list, func(n notice) bool { return n.at == at })
	switch {
	case i < 0:
	case len(list) == 1:
		w.drop(string(m.Topic))
	default:
		w.last[string(m.Topic)] = slices.Delete(list, i, i+1)
	}
}

func (w *notices) drop(topic string) {
	delete(w.last, topic)
	if len(w.last) == 0 {
		w.last = nil // a map does not shrink
	}
}
