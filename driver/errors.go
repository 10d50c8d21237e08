package driver

import "errors"

// Errors that drivers share.
var (
	// ErrClosed is returned when the half was closed, before or during the
	// call.
	ErrClosed = errors.New("closed")
	// ErrTooLarge is returned when a payload exceeds the configured limit or
	// the mechanism's own.
	ErrTooLarge = errors.New("payload too large")
	// ErrUnsure is returned, with the cause beside it, when it can't be known
	// whether messages reached the mechanism: a broker did not answer until the
	// context ended. Without it, what was not accepted must reach nobody.
	ErrUnsure = errors.New("it is not known whether it was sent")
	// ErrRefused is returned, with the cause beside it, when the mechanism will
	// not take this message, however often it is asked, but may take others: we
	// are not permitted to publish on its topic. What may pass is tried again
	// instead. With ErrUnsure it says that those behind it were sent, too, as far
	// as they could be: a relay does not send them again.
	ErrRefused = errors.New("refused")
	// ErrRole is returned when a driver can't play the role it was opened in.
	ErrRole = errors.New("driver does not play this role")
)

// HintError is an error that knows what the person who reads it can do.
type HintError struct {
	Err  error
	Hint string
}

// Error returns the error's own text, without the hint.
func (e *HintError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *HintError) Unwrap() error { return e.Err }

// WithHint adds to err what the person who reads it can do.
func WithHint(err error, hint string) error { return &HintError{Err: err, Hint: hint} }
