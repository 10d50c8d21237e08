package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// errMissed is returned with -check when a target was missed or not measured.
var errMissed = errors.New("targets missed")

func main() {
	if len(os.Args) == 2 && os.Args[1] == roleArgument {
		os.Exit(runRole())
	}
	// Children die with the thread that started them (Pdeathsig): all are
	// started by this goroutine, which keeps the process's first thread.
	runtime.LockOSThread()
	if err := compare(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare() error {
	opts, err := parseOptions(os.Args[1:])
	if err != nil {
		return err
	}
	network, err := enterNetwork()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()

	report := newReport(opts, network)
	failed := runScenarios(ctx, opts, report)
	report.judge()
	report.print(os.Stdout)
	if opts.jsonFile != "" {
		if err := report.writeJSON(opts.jsonFile); err != nil {
			return err
		}
	}
	if failed == nil && opts.check && report.missed() {
		return errMissed
	}
	return failed
}
