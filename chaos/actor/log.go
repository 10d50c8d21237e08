//go:build linux

package actor

import (
	"io"
	"sync"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// KindMark is not for the validator: it answers an order, whose ID is in Reason.
const KindMark validator.Kind = "mark"

// log writes records, each at once and as a whole.
type log struct {
	mu   sync.Mutex
	w    io.Writer
	line []byte
}

// write writes a record. That nobody reads it any more is told by the end of
// standard input too.
func (l *log) write(r validator.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = r.Append(l.line[:0])
	_, _ = l.w.Write(l.line)
}

// mark answers an order.
func (l *log) mark(o Order) {
	l.write(validator.Record{Kind: KindMark, At: int64(Now()), Reason: o.ID})
}
