package wyvern

import (
	"bytes"
	"runtime"
)

// goroutineID returns the number of the calling goroutine, as text.
//
// It serves one purpose: a handler that closes its own subscriber, or drops a
// topic, must not wait for itself. The handler's context would do for methods
// that get it, but Close has none, and whoever passes another context would wait
// for ever. It costs a microsecond and is off the path of events.
func goroutineID() string {
	var buf [64]byte
	// "goroutine 17 [running]:"
	_, rest, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte(" "))
	id, _, _ := bytes.Cut(rest, []byte(" "))
	return string(id)
}
