package zmq

import "github.com/wyvern-pubsub/wyvern/internal/plant"

// wanted are the topics that are held and not in force with one publisher. Each
// is to be asked for, or asked for, or confirmed and waiting for the next mark.
//
// Every step costs as much as the topics that it is about, however many others
// there are: 20,000 are subscribed one by one.
type wanted struct {
	topics  map[string]want
	todo    []string  // to be asked for, in order, and some that no longer are
	asked   []request // in the order of their tokens
	done    []string  // confirmed, and some that no longer are
	pending int       // how many are not confirmed
}

// want is the state of one topic.
type want struct {
	token uint64 // of the PING that confirms it, or one of those below
	// relied says that somebody takes it for in force: what is missed until it
	// is has to be told.
	relied bool
}

const (
	unasked   uint64 = 0
	confirmed uint64 = 1<<64 - 1
)

// request is what was asked for with one token.
type request struct {
	token  uint64
	topics []string
}

// keepWanted is up to how many topics the memory for them is kept.
const keepWanted = 1024

// put adds a topic, which is none of them so far.
func (w *wanted) put(topic string) {
	if w.topics == nil {
		w.topics = make(map[string]want)
	}
	w.pending++
	w.topics[topic] = want{}
	if len(w.todo) <= 2*len(w.topics)+keepWanted {
		w.todo = append(w.todo, topic)
		return
	}
	// Topics come and go, and nobody asks.
	w.todo = w.todo[:0]
	for t, x := range w.topics {
		if x.token == unasked {
			w.todo = append(w.todo, t)
		}
	}
}

// drop forgets a topic.
func (w *wanted) drop(topic string) {
	if old, had := w.topics[topic]; had {
		if old.token != confirmed {
			w.pending--
		}
		delete(w.topics, topic)
	}
}

// take returns what is to be asked for, and notes that it is, with a token.
func (w *wanted) take(token uint64) (topics []string) {
	topics = w.todo[:0]
	for _, t := range w.todo {
		if x, ok := w.topics[t]; ok && x.token == unasked {
			w.topics[t] = want{token, x.relied}
			topics = append(topics, t)
		}
	}
	w.todo = nil
	if len(topics) > 0 {
		w.asked = append(w.asked, request{token, topics})
	}
	return topics
}

// confirm notes that a token came back. It returns the topics that are
// confirmed thereby: those on which somebody relied, and the others.
func (w *wanted) confirm(token uint64) (relied, others []string) {
	for len(w.asked) > 0 && w.asked[0].token <= token {
		r := w.asked[0]
		w.asked[0] = request{}
		w.asked = w.asked[1:]
		for _, t := range r.topics {
			x, ok := w.topics[t]
			if !ok || x.token != r.token {
				continue
			}
			if w.pending--; x.relied {
				relied = append(relied, t)
			} else {
				others = append(others, t)
			}
			w.topics[t] = want{token: confirmed}
			w.done = append(w.done, t)
		}
	}
	if len(w.asked) == 0 {
		w.asked = nil
	}
	return relied, others
}

// settle takes out what is confirmed: it is in force.
func (w *wanted) settle() {
	if len(w.done) == 0 {
		return
	}
	large := len(w.topics) > keepWanted
	for _, t := range w.done {
		if w.topics[t].token == confirmed {
			delete(w.topics, t)
		}
	}
	if w.done = w.done[:0]; large {
		w.done = nil
	}
	if len(w.topics) == 0 && large {
		w.topics = nil // maps don't shrink
	}
}

// waits says whether a topic is not confirmed.
func (w *wanted) waits(topic string) bool {
	x, ok := w.topics[topic]
	return ok && x.token != confirmed
}

// rely notes that somebody takes a topic for in force.
func (w *wanted) rely(topic string) {
	if x, ok := w.topics[topic]; ok && x.token != confirmed {
		w.topics[topic] = want{x.token, true}
	}
}

// again makes all of them ones that are to be asked for. On those that were
// confirmed somebody relies.
func (w *wanted) again() {
	w.todo, w.asked, w.done = nil, nil, nil
	for t, x := range w.topics {
		if plant.On(plant.ResumeInFlight) && x.token != unasked {
			delete(w.topics, t)
			continue
		}
		w.topics[t] = want{unasked, x.relied || x.token == confirmed}
		w.todo = append(w.todo, t)
	}
	w.pending = len(w.topics)
}
