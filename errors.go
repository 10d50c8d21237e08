package wyvern

import (
	"errors"
	"strings"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// Errors to compare with, by errors.Is. Those that drivers return too are the
// very same values.
var (
	// ErrClosed is returned when the publisher, subscriber or relay was closed,
	// before or during the call.
	ErrClosed = driver.ErrClosed
	// ErrTooLarge is returned when an encoded event is larger than the
	// configured limit or the driver's own. The event was not sent.
	ErrTooLarge = driver.ErrTooLarge
	// ErrUnsure is returned when a broker did not say in time whether it took
	// the event. Whoever holds the topic gets it or is told to resync, as if
	// it had been accepted.
	ErrUnsure = driver.ErrUnsure
	// ErrRefused is returned when the broker does not let us publish on the
	// event's topic. The event was not sent.
	ErrRefused = driver.ErrRefused
	// ErrInvalidEvent is returned when an event, or the name of a topic, can't
	// be put on the wire: no topic or action, a topic that is too long, text
	// that is not UTF-8.
	ErrInvalidEvent = errors.New("invalid event")
	// ErrNotSupported is returned when the driver has no such operation.
	ErrNotSupported = errors.ErrUnsupported
)

// Error is what every error of this package is: the operation that failed and
// why. Hints that a driver gave are found by errors.As with a
// *driver.HintError.
type Error struct {
	Op     string // "open publisher", "publish", ...
	Driver string // the driver's own name, or the alias that named none
	Topic  string // or ""
	Err    error
}

// Error returns `op "topic": driver: error`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Topic != "" {
		b.WriteString(" \"")
		b.WriteString(strings.ToValidUTF8(e.Topic, "\uFFFD"))
		b.WriteByte('"')
	}
	b.WriteString(": ")
	if e.Driver != "" {
		b.WriteString(e.Driver)
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// wrap wraps err unless it is nil or wrapped already.
func wrap(op, name, topic string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok {
		return err
	}
	return &Error{Op: op, Driver: name, Topic: topic, Err: err}
}
