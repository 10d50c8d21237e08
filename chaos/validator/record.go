package validator

import (
	"encoding/json"
	"fmt"
)

// Kind says what a Record is about, and which of its fields count.
type Kind string

// The kinds. At is when it happened or began, End when it ended, where it takes
// time.
const (
	// KindAccept: Worker called Publish for its event N of Topic at At, and it
	// returned nil at End. Publisher is the service that the worker belongs to,
	// Sum a checksum of the event.
	KindAccept Kind = "accept"
	// KindEvent: the handler of Session got an event, from At to End.
	KindEvent Kind = "event"
	// KindResync: the handler of Session was told to resync Topic, for Reason.
	// Epoch and Seq are set when it was published as an event of its own.
	KindResync Kind = "resync"

	// KindOpen: Session began, on Node. Unnumbered: it is told of losses beside the
	// stream of numbers, so that those can't be held against it.
	KindOpen Kind = "open"
	// KindClosed: Close of Session has returned.
	KindClosed Kind = "closed"
	// KindKilled: the process of Session, or of Worker, was killed.
	KindKilled Kind = "killed"

	// KindSubscribe: Session is about to subscribe to Topic.
	KindSubscribe Kind = "subscribe"
	// KindSubscribed: it has, Subscribe or Await returned nil.
	KindSubscribed Kind = "subscribed"
	// KindUnsubscribe: Session is about to unsubscribe from Topic.
	KindUnsubscribe Kind = "unsubscribe"
	// KindUnsubscribed: it has, Unsubscribe returned nil.
	KindUnsubscribed Kind = "unsubscribed"

	// KindFault: something was broken from At to End, of what On lists: a
	// session's node, a publisher, a worker, "node/publisher" for what is
	// between these two, or "*". Fault names the kind. It is confirmed or not.
	KindFault Kind = "fault"

	// KindLast and KindCount carry what a Checker knew, see [Checker.Snapshot]:
	// the last number of Topic that Session saw of Publisher, and the last N of
	// Worker.
	KindLast  Kind = "last"
	KindCount Kind = "count"

	// KindCheck: nothing is under way, everything has to be settled.
	KindCheck Kind = "check"
)

// Record is one line of a log.
type Record struct {
	Kind      Kind     `json:"kind"`
	At        int64    `json:"at"`
	End       int64    `json:"end,omitempty"`
	Session   string   `json:"session,omitempty"`
	Node      string   `json:"node,omitempty"`
	Publisher string   `json:"publisher,omitempty"`
	Epoch     uint64   `json:"epoch,omitempty"`
	Seq       uint64   `json:"seq,omitempty"`
	Topic     string   `json:"topic,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Worker    string   `json:"worker,omitempty"`
	N         uint64   `json:"n,omitempty"`
	Sum       uint32   `json:"sum,omitempty"`
	Fault     string   `json:"fault,omitempty"`
	On        []string `json:"on,omitempty"`
	Confirmed bool     `json:"confirmed,omitempty"`
	Proof     string   `json:"proof,omitempty"`

	Unnumbered bool `json:"unnumbered,omitempty"`
}

// Parse reads one line.
func Parse(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("parse record %.200q: %w", line, err)
	}
	return r, nil
}

// Append appends the record as a line.
func (r *Record) Append(dst []byte) []byte {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return append(append(dst, line...), '\n')
}
