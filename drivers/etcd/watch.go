package etcd

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/wyvern-pubsub/wyvern/internal/plant"
)

// watch is a topic that is held, or all of them, and how far it has been
// followed. Its subscriber's lock guards it, but for what never changes.
type watch struct {
	topic []byte // nil: all
	key   []byte
	end   []byte // of the range; nil: one key

	// The next event wanted is number taken of revision next; next is 0 until
	// it is known from where on the topic is held. A revision has more than one
	// event only where all topics are watched.
	next  int64
	taken int

	dropped bool
	made    chan struct{} // closed when the server has created it; nil: nobody waits
	late    bool          // its Subscribe has returned, and it is not placed

	// What follows is about the stream that there is.
	passed  int   // events of revision next that came on it
	created bool  // the server has said so
	id      int64 // there
	born    int64 // the server's revision when it had created it
}

// place says that the topic is held from behind revision on.
func (w *watch) place(revision int64) { w.next, w.taken, w.passed = revision+1, 0, 0 }

// renew forgets the stream.
func (w *watch) renew() { w.passed, w.created, w.id, w.born = 0, false, 0, 0 }

// start is the revision that a watch begins at.
func (w *watch) start() int64 {
	if plant.On(plant.WatchFromNow) {
		return 0
	}
	return w.next
}

// takes notes an event, and says whether it is one that was not taken before.
func (w *watch) takes(kv *mvccpb.KeyValue) bool {
	switch {
	case kv.ModRevision < w.next:
		return false
	case kv.ModRevision > w.next:
		w.next, w.taken, w.passed = kv.ModRevision, 0, 0
	}
	w.passed++
	if w.passed <= w.taken {
		return false
	}
	w.taken++
	return true
}

// complete notes that a response has ended: all events of its last revision
// have come.
func (w *watch) complete() {
	if w.passed > 0 {
		w.place(w.next)
	}
}

// progress notes that everything up to a revision has come, if it is certain
// that the server spoke of this watch too: it did when it had gone on since it
// created it. A watch of the past may still have to catch up otherwise.
func (w *watch) progress(revision int64) {
	if revision > w.born && revision >= w.next {
		w.place(revision)
	}
}
