//go:build linux

package actor

import (
	"io"
	"log/slog"
)

// newLogger logs what the library tells: a campaign keeps it.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
