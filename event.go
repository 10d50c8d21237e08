package wyvern

import (
	"fmt"
	"unicode/utf8"

	"github.com/wyvern-pubsub/wyvern/internal/envelope"
)

// TopicAll is the topic that reaches every node: each of them holds it.
const TopicAll = "D"

// MaxTopic is how long a topic may be, in bytes.
const MaxTopic = 255

// MaxEventSize is the default of how large an encoded event may be, in bytes:
// see driver.Config.MaxPayload. Events with more are refused with
// [ErrTooLarge].
const MaxEventSize = 1 << 20

// Action says what happened to an object, or what a node should do. Any
// non-empty text is an action: those not known here pass through unchanged.
type Action = string

// The actions of Dragonflow.
const (
	ActionCreate Action = "create"
	ActionSet    Action = "set"
	ActionDelete Action = "delete"

	// ActionSync tells a node to read from the database whatever it follows
	// of the topic, or, on TopicAll, everything: events were missed. See
	// [Event.Reason].
	ActionSync Action = "sync"
	// ActionLog tells a node to log the value.
	ActionLog Action = "log"
	// ActionDBRestart tells a node that the database was restarted.
	ActionDBRestart Action = "dbrestart"

	// actionBeacon says that the topic's last number is that of this very
	// event, which is none: it is handed to nobody.
	actionBeacon Action = "beacon"
)

// Reason says why a subscriber was told to resync. It is empty in events that
// came from a publisher, a `sync` that came as such included.
type Reason string

// The reasons.
const (
	ReasonMalformed   Reason = "malformed event"
	ReasonHandler     Reason = "handler failed"
	ReasonIncarnation Reason = "new publisher incarnation"
	ReasonGap         Reason = "gap"
	ReasonBehind      Reason = "fell behind"
	ReasonLost        Reason = "publisher lost"
	ReasonSubscribed  Reason = "subscribed"
	ReasonWorker      Reason = "worker lost"
	ReasonDatabase    Reason = "database restarted"
)

// Event is one change, or one order to the nodes. Events are values: copy and
// compare them freely.
//
// On the wire a text may be nil, which is not the same as empty. An Event made
// by hand writes empty texts as nil; one that was received remembers which of
// its texts were empty and writes them so again: see [Event.IsNull].
type Event struct {
	Table  string
	Key    string
	Action Action
	Value  string // JSON in practice
	Topic  string // 1 to 255 bytes

	// Version of the object in the database; 0: unknown.
	Version uint64

	// Publisher, Epoch and Seq say who numbered the event: the stable identity,
	// where the driver knows it; a random number for the incarnation; and the
	// place of the event among those of its topic, from 1. Epoch and Seq are
	// both 0 in events of publishers that don't number. Publish ignores all
	// three and puts its own.
	Publisher  string
	Epoch, Seq uint64

	// Reason is set in a `sync` that the subscriber itself made.
	Reason Reason

	form form
}

// Field names one of the five texts of an event.
type Field uint8

// The fields, in the order of the wire.
const (
	FieldTable  = Field(envelope.Table)
	FieldKey    = Field(envelope.Key)
	FieldAction = Field(envelope.Action)
	FieldValue  = Field(envelope.Value)
	FieldTopic  = Field(envelope.Topic)
)

// form is where the body of an event differs from the default for its texts,
// so that what was decoded can be encoded to the same bytes. The default is: an
// empty text is nil, and the topic is nil in a `sync` and only there, because
// that is how Dragonflow writes them.
//
// Of the bits, those of Table, Key and Value say that the empty text is "".
// The topic has two, because it is never empty in an Event: that a `sync`
// carries it, and that another action doesn't.
type form uint8

const (
	formText form = form(FieldTopic)      // the topic is text though the action is sync
	formNull form = form(FieldTopic) << 1 // the topic is nil though the action isn't
)

// IsNull tells whether a field of the body is nil on the wire. Note that the
// body's topic is nil in a `sync` event although Topic is set.
func (e Event) IsNull(f Field) bool {
	switch f {
	case FieldTable:
		return e.Table == "" && e.form&form(f) == 0
	case FieldKey:
		return e.Key == "" && e.form&form(f) == 0
	case FieldValue:
		return e.Value == "" && e.form&form(f) == 0
	case FieldTopic:
		if e.Action == ActionSync {
			return e.form&formText == 0
		}
		return e.form&formNull != 0
	}
	return false
}

// SetNull chooses how a field is written when there is a choice: an empty
// table, key or value as nil or as "", and the body's topic as nil or as Topic.
// It changes nothing else: a text that is not empty stays.
func (e *Event) SetNull(f Field, null bool) {
	switch f {
	case FieldTable, FieldKey, FieldValue:
		e.form |= form(f)
		if null {
			e.form &^= form(f)
		}
	case FieldTopic:
		e.form &^= formText | formNull
		if sync := e.Action == ActionSync; null && !sync {
			e.form |= formNull
		} else if sync && !null {
			e.form |= formText
		}
	}
}

// fields sets f to what the body of e says, without epoch and seq.
func (e *Event) fields(f *envelope.Fields) {
	f.Table, f.Key, f.Action, f.Value, f.Topic = e.Table, e.Key, e.Action, e.Value, e.Topic
	f.Null = 0
	if e.Table == "" && e.form&form(FieldTable) == 0 {
		f.Null |= envelope.Table
	}
	if e.Key == "" && e.form&form(FieldKey) == 0 {
		f.Null |= envelope.Key
	}
	if e.Value == "" && e.form&form(FieldValue) == 0 {
		f.Null |= envelope.Value
	}
	if e.Action == ActionSync && e.form&formText == 0 || e.Action != ActionSync && e.form&formNull != 0 {
		f.Null |= envelope.Topic
	}
	f.Epoch, f.Seq = 0, 0
	f.Version, f.HasVersion = e.Version, e.Version != 0
}

// setFields sets e to what a body says, on a topic: the topic frame counts, and
// what the body says of the topic is only kept as far as it is nil or not. An
// epoch without a seq, or the other way round, means unnumbered.
func (e *Event) setFields(f *envelope.Fields, topic string) {
	*e = Event{
		Table: f.Table, Key: f.Key, Action: f.Action, Value: f.Value, Topic: topic,
		Version: f.Version,
	}
	if f.Epoch != 0 && f.Seq != 0 {
		e.Epoch, e.Seq = f.Epoch, f.Seq
	}
	if f.Table == "" && f.Null&envelope.Table == 0 {
		e.form |= form(FieldTable)
	}
	if f.Key == "" && f.Null&envelope.Key == 0 {
		e.form |= form(FieldKey)
	}
	if f.Value == "" && f.Null&envelope.Value == 0 {
		e.form |= form(FieldValue)
	}
	if null, sync := f.Null&envelope.Topic != 0, f.Action == ActionSync; null && !sync {
		e.form |= formNull
	} else if sync && !null {
		e.form |= formText
	}
}

// validTopic tells whether name may be a topic.
func validTopic[T string | []byte](name T) bool {
	return len(name) >= 1 && len(name) <= MaxTopic && utf8.ValidString(string(name))
}

// checkTopic is validTopic with a reason.
func checkTopic(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: the topic is empty", ErrInvalidEvent)
	case len(name) > MaxTopic:
		return fmt.Errorf("%w: the topic has %d bytes, more than %d", ErrInvalidEvent, len(name), MaxTopic)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: the topic is not UTF-8", ErrInvalidEvent)
	}
	return nil
}
