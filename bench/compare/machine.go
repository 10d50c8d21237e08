package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineTime is the CPU time that the machine has spent, from /proc/stat.
type machineTime struct {
	at   int64 // CLOCK_MONOTONIC, ns
	busy int64 // user, nice, system, irq, softirq of all processors, ns
}

// userHz is the unit of /proc/stat: fixed on every architecture that Go has.
const userHz = 100

func readMachineTime() (machineTime, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	busy, err := parseStat(stat)
	return machineTime{at: newClock().now(), busy: busy}, err
}

func parseStat(stat []byte) (busy int64, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line)) // cpu user nice system idle iowait irq softirq ...
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for _, i := range []int{1, 2, 3, 6, 7} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		busy += ticks * (1e9 / userHz)
	}
	return busy, nil
}

// machine describes where the figures come from.
type machine struct {
	CPU        string
	Processors int
	Kernel     string
	Go         string
	Libzmq     string
	Wyvern     string
	Network    network
}

func describeMachine(n network) machine {
	m := machine{
		CPU:        cpuModel(),
		Processors: runtime.NumCPU(),
		Go:         runtime.Version(),
		Libzmq:     libzmqVersion(),
		Wyvern:     wyvernVersion(),
		Network:    n,
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func wyvernVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
			version += " " + s.Value
		}
	}
	return version
}
