package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// app is the process as the verbs see it.
type app struct {
	version        string
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
}

// Exit statuses. Success is success of what was asked for.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef reports a wrong use of a verb.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
}

// run executes a command line and returns the exit status.
func (a *app) run(args []string) int {
	root := a.command()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err, cmd.CommandPath()}
	})
	started := false
	for _, verb := range root.Commands() {
		run := verb.RunE
		verb.RunE = func(cmd *cobra.Command, args []string) error {
			started = true
			return run(cmd, args)
		}
	}
	verb, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var usage *usageError
	if !started && !errors.As(err, &usage) { // the verb or its arguments
		err = &usageError{err, verb.CommandPath()}
	}
	a.report(err)
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// report prints an error for the person, and what to do about it if somebody
// knows.
func (a *app) report(err error) {
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(a.stderr, "wyvern: %s\n", line)
		}
	}
	var hint *driver.HintError
	var usage *usageError
	switch {
	case errors.As(err, &hint):
		fmt.Fprintf(a.stderr, "hint: %s\n", strings.ReplaceAll(hint.Hint, "\n", " "))
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "hint: see %s --help\n", usage.command)
	}
}

// warn prints what the person should hear of, though the verb goes on.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.stderr, "wyvern: warning: "+format+"\n", args...)
}

// untilSignal returns a context that ends at SIGINT or SIGTERM. The second one
// does what signals do without us.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
